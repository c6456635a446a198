"""Encoder and decoder as graphs apart answer as the model does."""

import numpy as np
import onnxruntime
import pytest
import torch

from training.sam.everything import class_ids
from training.sam.onnx_graph import export_split
from training.sam.registry import build_model

SMALL_ENCODER = {"encoder_channels": [16, 16, 16, 16]}
SHAPES = {
    "small": {**SMALL_ENCODER, "embedding_dim": 32, "pixel_dim": 16},
    "sam_small": {**SMALL_ENCODER, "image_size": 64, "decoder": {"dim": 32, "mlp_dim": 64, "heads": 2}, "classes": 3},
}


@pytest.mark.parametrize("family", SHAPES)
def test_two_graphs_answer_as_the_model(tmp_path, family):
    torch.manual_seed(0)
    model = build_model(family, SHAPES[family]).eval()
    if family == "sam_small":
        torch.nn.init.normal_(model.class_head.weight, std=9)  # sure of its classes
    export_split(model, 64, 64, tmp_path / "encoder.onnx", tmp_path / "decoder.onnx")
    encoder, decoder = (onnxruntime.InferenceSession(str(tmp_path / f"{name}.onnx")) for name in ("encoder", "decoder"))

    image = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), np.uint8)
    points = np.random.default_rng(1).uniform(0, 64, (64, 2)).astype(np.float32)
    *features, objectness = encoder.run(None, {"image": image})
    names = [tensor.name for tensor in encoder.get_outputs()[:-1]]
    masks, scores, classes = decoder.run(None, {**dict(zip(names, features, strict=True)), "points": points})

    with torch.no_grad():
        found = model.encode(torch.from_numpy(image).permute(0, 3, 1, 2))
        expected = model.decode(found, torch.from_numpy(points)[None])
        np.testing.assert_allclose(objectness, model.objectness(found).sigmoid(), atol=1e-4)
    np.testing.assert_allclose(scores, expected.scores[0].sigmoid(), atol=1e-4)
    np.testing.assert_allclose(masks / 255, expected.masks[0].sigmoid(), atol=0.005)
    told = np.full(64, -1) if expected.classes is None else class_ids(expected.classes[0]).numpy()
    np.testing.assert_array_equal(classes, told)
    assert (len(set(classes)) > 1) == (family == "sam_small")
