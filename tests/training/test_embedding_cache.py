"""Embeddings of a frozen encoder, computed once."""

from collections import namedtuple

import numpy as np
import pytest
import torch

from saom_ros.errors import SaomError
from saom_ros.letterbox import Letterbox, letterbox_image
from tests.training.shard_files import mug_on_book, write_shards
from tests.training.tiny_sam import TINY_SAM
from training.finetuning import embedding_cache
from training.finetuning.embedding_cache import EmbeddingCache, cache_path, make_embeddings
from training.finetuning.frame_store import FrameStore
from training.sam.registry import build_model


@pytest.fixture
def store(tmp_path):
    return FrameStore(write_shards(tmp_path, [mug_on_book(n) for n in range(5)], per_shard=3), show_progress=False)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return build_model("sam_small", TINY_SAM).eval()


def made(store, model):
    """Path of the cache, and how often frames had to be encoded for it."""
    calls = []

    def encode(images):
        calls.append(len(images))
        with torch.no_grad():
            return model.encode(images.float())

    path = cache_path(store, model, 64, 64, "32-true")
    make_embeddings(path, store, encode, 64, 64)
    return path, len(calls)


def test_a_cached_embedding_is_the_encoders_answer_to_the_letterboxed_frame(store, model):
    cache = EmbeddingCache(made(store, model)[0])
    for index in range(5):
        rgb = store[index][0]
        image = letterbox_image(rgb, Letterbox.fit(rgb.shape[0], rgb.shape[1], 64, 64))
        with torch.no_grad():
            expected = model.encode(torch.from_numpy(image).permute(2, 0, 1)[None].float()).embedding[0]
        assert cache[index]["embedding"].dtype == np.float16
        np.testing.assert_allclose(cache[index]["embedding"], expected, rtol=2e-3, atol=2e-3)


def test_features_at_stride_4_are_cached_where_a_family_has_them(store):
    shape = {"encoder_channels": [16, 16, 16, 16], "embedding_dim": 32, "pixel_dim": 16}
    cache = EmbeddingCache(made(store, build_model("small", shape).eval())[0])
    assert {name: values.shape for name, values in cache[0].items()} == {
        "embedding": (32, 8, 8),
        "pixels": (16, 16, 16),
    }


def test_frames_are_encoded_once(store, model):
    path, first = made(store, model)
    assert first > 0
    assert made(store, model) == (path, 0)


def test_other_weights_frames_or_sizes_have_their_own_cache(store, model, tmp_path):
    path = cache_path(store, model, 64, 64, "32-true")
    assert cache_path(store, model, 64, 128, "32-true") != path
    assert cache_path(store, model, 64, 64, "bf16-mixed") != path
    with torch.no_grad():
        next(model.encoder_parameters()).add_(1e-3)
    assert cache_path(store, model, 64, 64, "32-true") != path
    path = cache_path(store, model, 64, 64, "32-true")
    with torch.no_grad():
        model.objectness_head[0].weight.add_(1)
    assert cache_path(store, model, 64, 64, "32-true") == path  # the decoder's side does not matter
    write_shards(tmp_path, [mug_on_book(9)])
    assert cache_path(FrameStore(tmp_path, show_progress=False), model, 64, 64, "32-true") != path


@pytest.mark.parametrize("damage", ["flip", "cut", "marker", "missing"])
def test_a_damaged_cache_is_made_again(store, model, capsys, damage):
    path, _ = made(store, model)
    expected = np.array(EmbeddingCache(path)[4]["embedding"])
    file = path.with_suffix(".embedding.f16")
    content = bytearray(file.read_bytes())
    if damage == "flip":
        content[-1] ^= 1
        file.write_bytes(content)
    elif damage == "cut":
        file.write_bytes(content[:-2])
    elif damage == "marker":
        path.with_suffix(".json").write_text("{")
    else:
        file.unlink()
    assert made(store, model)[1] > 0
    assert "made again" in capsys.readouterr().out
    np.testing.assert_array_equal(EmbeddingCache(path)[4]["embedding"], expected)


def test_an_unfinished_cache_leaves_nothing_behind(store, model):
    def dies(images):
        if len(images) > 1:
            raise KeyboardInterrupt
        return model.encode(images.float())

    path = cache_path(store, model, 64, 64, "32-true")
    with torch.no_grad(), pytest.raises(KeyboardInterrupt):
        make_embeddings(path, store, dies, 64, 64)
    assert not list(path.parent.glob("embeddings-*"))


def test_the_disk_need_is_said_before_and_refused_where_there_is_less(store, model, capsys, monkeypatch):
    made(store, model)
    need = 5 * 32 * 4 * 4 * 2
    assert f"embeddings of 5 frames: {need / 1e9:.3g} GB" in capsys.readouterr().out
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(embedding_cache.shutil, "disk_usage", lambda _: usage(10**9, 10**9, need - 1))
    model.sam.image_encoder.requires_grad_(False)
    next(model.encoder_parameters()).add_(1)
    with pytest.raises(SaomError, match="free space, or set cache_embeddings: false"):
        made(store, model)
