"""The layout of MobileSAM's published image encoder: names and shapes in `mobile_sam.pt`, without `image_encoder.`.

Written down from the published file's structure (https://github.com/ChaoningZhang/MobileSAM): TinyViT-5M with stages of
64, 128, 160 and 320 channels, 2, 2, 6 and 2 blocks deep, 2, 4, 5 and 10 heads, windows of 7, 7, 14 and 7.
"""

WIDTHS, DEPTHS, HEADS, WINDOWS = (64, 128, 160, 320), (2, 2, 6, 2), (2, 4, 5, 10), (7, 7, 14, 7)


def encoder_layout():
    """Name to shape of every tensor, 302 in all."""
    layout = {**_conv("patch_embed.seq.0", 32, 3, 3), **_conv("patch_embed.seq.2", 64, 32, 3)}
    for stage, depth in enumerate(DEPTHS):
        for block in range(depth):
            name = f"layers.{stage}.blocks.{block}"
            layout |= _bottleneck(name, 64) if stage == 0 else _transformer(name, stage)
        if stage < 3:
            layout |= _downsample(f"layers.{stage}.downsample", WIDTHS[stage], WIDTHS[stage + 1])
    layout |= {**_affine("norm_head", 320), "head.weight": (1000, 320), "head.bias": (1000,)}
    layout |= {"neck.0.weight": (256, 320, 1, 1), "neck.2.weight": (256, 256, 3, 3)}
    return {**layout, **_affine("neck.1", 256), **_affine("neck.3", 256)}


def _affine(name, width):
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _linear(name, width, from_width):
    return {f"{name}.weight": (width, from_width), f"{name}.bias": (width,)}


def _conv(name, width, from_width, size):
    """A convolution without bias and its batch norm."""
    running = {f"{name}.bn.running_mean": (width,), f"{name}.bn.running_var": (width,)}
    weights = {f"{name}.c.weight": (width, from_width, size, size), **_affine(f"{name}.bn", width)}
    return {**weights, **running, f"{name}.bn.num_batches_tracked": ()}


def _bottleneck(name, width):
    wide = 4 * width
    expand, depthwise = _conv(f"{name}.conv1", wide, width, 1), _conv(f"{name}.conv2", wide, 1, 3)
    return {**expand, **depthwise, **_conv(f"{name}.conv3", width, wide, 1)}


def _downsample(name, width, to_width):
    into, depthwise = _conv(f"{name}.conv1", to_width, width, 1), _conv(f"{name}.conv2", to_width, 1, 3)
    return {**into, **depthwise, **_conv(f"{name}.conv3", to_width, to_width, 1)}


def _transformer(name, stage):
    width = WIDTHS[stage]
    attention = {
        f"{name}.attn.attention_biases": (HEADS[stage], WINDOWS[stage] ** 2),
        **_affine(f"{name}.attn.norm", width),
    }
    attention |= {**_linear(f"{name}.attn.qkv", 3 * width, width), **_linear(f"{name}.attn.proj", width, width)}
    mlp = {**_affine(f"{name}.mlp.norm", width), **_linear(f"{name}.mlp.fc1", 4 * width, width)}
    return {
        **attention,
        **mlp,
        **_linear(f"{name}.mlp.fc2", width, 4 * width),
        **_conv(f"{name}.local_conv", width, 1, 3),
    }
