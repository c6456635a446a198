"""SAM with separate decoding: each point answered alone over the image embedding, as the official weights want it.

``SeparateSam`` wraps a ``segment_anything.modeling.Sam`` (whose parameters keep their names below ``sam.``) and adds
an objectness head on the embedding and a class head on the IoU token. It runs SAM's own layers but not SAM's glue:
the embedding is not copied for every point, only the masks that are asked are read out, and no shape depends on data.
"""

from dataclasses import dataclass

import torch
from segment_anything.modeling import MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from torch import Tensor, nn

from saom_ros.errors import SaomError
from training.sam.encoders import SAM_STRIDE
from training.sam.layer_norm import replace_layer_norms
from training.sam.model import Decoded, Features, PromptableModel, objectness_head

OBJECTNESS_STRIDE = 8
"""Input px per objectness cell. Cells of the embedding's 16 px would merge objects that lie side by side: at 256 px
with 32 x 32 points, even a perfect map of such cells asks but three objects in five."""
PROMPT_CHUNK = 64
"""Points decoded at once: bounds memory (one chunk of SAM at 1024 px holds 64 x 4096 x 256 floats several times)."""

_WHOLE = slice(0, 1)
_EVERY = slice(0, 4)
"""Rows of SAM's mask tokens: one answer alone, and with it three for part, object and whole."""
_QUALITY_MARGIN = 1e-4
"""Predicted IoUs are kept this far inside 0..1, where their logits are finite."""


@dataclass(frozen=True)
class DecoderShape:
    """Shape of SAM's prompt encoder and mask decoder; the default is the official one."""

    dim: int = 256
    """Channels of the embedding and of tokens; a multiple of 8."""
    depth: int = 2
    """Two-way attention blocks."""
    mlp_dim: int = 2048
    """Hidden width of the blocks' MLPs."""
    heads: int = 8
    """Attention heads; must divide dim / 2."""


class SeparateSam(PromptableModel):
    """Every family with separate decoding; square images of the encoder's ``img_size`` px."""

    decoding = "separate"
    objectness_stride = OBJECTNESS_STRIDE

    def __init__(self, family: str, config: object, sam: Sam, classes: int) -> None:
        """Add heads to ``sam``; ``classes`` 0 for no class head."""
        super().__init__()
        self.family, self.config = family, config
        replace_layer_norms(sam)
        self.sam = sam
        dim = sam.mask_decoder.transformer_dim
        self.objectness_head = objectness_head(dim, SAM_STRIDE // OBJECTNESS_STRIDE)
        self.class_head = nn.Linear(dim, classes) if classes else None

    @property
    def input_size(self) -> tuple[int, int]:
        """The encoder's square (height, width) in px."""
        return self.sam.image_encoder.img_size, self.sam.image_encoder.img_size

    def encode(self, images: Tensor) -> Features:
        """Encode uint8 or float RGB images (B, 3, s, s) in 0..255; SaomError where s is not the encoder's."""
        if tuple(images.shape[-2:]) != self.input_size:
            height, width = images.shape[-2:]
            side = self.sam.image_encoder.img_size
            raise SaomError(f"input {width}x{height}: {self.family} takes {side}x{side}; letterbox images to that")
        mean, std = self.sam.pixel_mean, self.sam.pixel_std
        return Features(self.sam.image_encoder((images.to(mean.dtype) - mean) / std))

    def objectness(self, features: Features) -> Tensor:
        """Objectness logits (B, s/8, s/8)."""
        return self.objectness_head(features.embedding)[:, 0]

    def decode(self, features: Features, points: Tensor) -> Decoded:
        """Answer points (B, N, 2) px with SAM's single-mask token, in chunks."""
        masks, quality, tokens = self._answer(features, points, _WHOLE)
        classes = None if self.class_head is None else self.class_head(tokens)
        return Decoded(masks[:, :, 0], quality_logits(quality[..., 0]), classes=classes)

    def decode_every(self, features: Features, points: Tensor) -> tuple[Tensor, Tensor]:
        """See ``PromptableModel``: mask logits (B, N, 4, s/4, s/4), score logits (B, N, 4)."""
        masks, quality, _ = self._answer(features, points, _EVERY)
        return masks, quality_logits(quality)

    def encoder_modules(self) -> list[nn.Module]:
        """SAM's image encoder."""
        return [self.sam.image_encoder]

    def _answer(self, features: Features, points: Tensor, answers: slice) -> tuple[Tensor, Tensor, Tensor]:
        """Masks (B, N, n, s/4, s/4), predicted IoUs (B, N, n) and IoU tokens (B, N, C) of ``answers``."""
        images = []
        for embedding, asked in zip(features.embedding.split(1), points.unbind(), strict=True):
            chunks = [self._answer_chunk(embedding, chunk, answers) for chunk in asked.split(PROMPT_CHUNK)]
            images.append([torch.cat(parts) for parts in zip(*chunks, strict=True)])
        masks, quality, tokens = (torch.stack(parts) for parts in zip(*images, strict=True))
        return masks, quality, tokens

    def _answer_chunk(self, embedding: Tensor, points: Tensor, answers: slice) -> tuple[Tensor, Tensor, Tensor]:
        """The same for one image's embedding (1, C, h, w) and points (N, 2)."""
        prompts, decoder = self.sam.prompt_encoder, self.sam.mask_decoder
        source = embedding + prompts.no_mask_embed.weight[..., None, None]
        position, tokens = self._tokens(points, embedding)
        # The embedding stays one image's: attention broadcasts it over the points until the first block updates it.
        tokens, source = decoder.transformer(source, position, tokens)
        upscaled = decoder.output_upscaling(source.transpose(1, 2).reshape(len(points), *embedding.shape[1:]))
        read_out = list(decoder.output_hypernetworks_mlps)[answers]
        first = 1 + answers.start
        hyper = torch.stack([mlp(tokens[:, first + row]) for row, mlp in enumerate(read_out)], 1)
        masks = (hyper @ upscaled.flatten(2)).unflatten(2, upscaled.shape[-2:])
        return masks, decoder.iou_prediction_head(tokens[:, 0])[:, answers], tokens[:, 0]

    def _tokens(self, points: Tensor, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """Fourier code of the cells (1, C, h, w) and the decoder's input tokens (N, 7, C) for points (N, 2) px."""
        prompts, decoder = self.sam.prompt_encoder, self.sam.mask_decoder
        height, width = self.input_size
        with torch.autocast(
            points.device.type, enabled=False
        ):  # in bf16 or fp16 a code no longer tells neighbours apart
            position = prompts.pe_layer(embedding.shape[-2:])[None].to(embedding.dtype)
            relative = points.float() / torch.tensor([width, height], dtype=torch.float32, device=points.device)
            code = prompts.pe_layer._pe_encoding(relative).to(embedding.dtype)
        positive = code + prompts.point_embeddings[1].weight
        shared = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
        end = prompts.not_a_point_embed.weight  # SAM ends a prompt of points without a box with this token
        expanded = (part[None].expand(len(points), -1, -1) for part in (shared, end))
        return position, torch.cat([next(expanded), positive[:, None], next(expanded)], 1)


def quality_logits(quality: Tensor) -> Tensor:
    """SAM's raw IoU predictions as score logits (float32), whose sigmoid is the prediction itself, cut to 0..1.

    So official weights keep their meaning: a score of 0.88 is SAM's predicted IoU of 0.88. The cut lets gradients
    through unchanged, and logit and sigmoid cancel: a squared error of the scores is one of the raw predictions.
    """
    inside = quality.float().clamp(_QUALITY_MARGIN, 1 - _QUALITY_MARGIN)
    if quality.requires_grad:
        inside = inside.detach() + (quality - quality.detach()).float()
    return torch.logit(inside)


def assemble_sam(image_encoder: nn.Module, shape: DecoderShape) -> Sam:
    """SAM's prompt encoder and mask decoder of a shape behind an image encoder; SaomError where it cannot be."""
    side = image_encoder.img_size // SAM_STRIDE
    if shape.dim % 8 or shape.heads < 1 or (shape.dim // 2) % shape.heads:
        raise SaomError(f"dim {shape.dim} with {shape.heads} heads: dim must be a multiple of 8, heads divide its half")
    transformer = TwoWayTransformer(
        depth=shape.depth, embedding_dim=shape.dim, mlp_dim=shape.mlp_dim, num_heads=shape.heads
    )
    return Sam(
        image_encoder=image_encoder,
        prompt_encoder=PromptEncoder(
            embed_dim=shape.dim,
            image_embedding_size=(side, side),
            input_image_size=(image_encoder.img_size, image_encoder.img_size),
            mask_in_chans=16,
        ),
        mask_decoder=MaskDecoder(
            num_multimask_outputs=3,
            transformer=transformer,
            transformer_dim=shape.dim,
            iou_head_depth=3,
            iou_head_hidden_dim=256,
        ),
    )
