"""The cache of engines, the order of precisions, and who gets to run; the device is the stand-in of `fake_gpu`."""

import dataclasses
import json
import sys
from pathlib import Path

import fake_gpu
import pytest
from golden_bundle import engine_of, write_golden_bundle
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_bundle import WITHOUT_GPU

from saom_ros import cli, engine_commands, engines, runtimes
from saom_ros.bundle import SPLIT_NAMES, load_config
from saom_ros.engines import Device, EngineCache, EngineKey, ladder, open_engine, search
from saom_ros.errors import SaomError
from saom_ros.runtimes import cuda
from saom_ros.runtimes.base import Unavailable
from saom_ros.runtimes.cuda import Gpu

DEVICE = Device(Gpu(fake_gpu.NAME, fake_gpu.UUID, "8.7", "12.6"), "10.3.0")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    return write_golden_bundle(tmp_path_factory.mktemp("golden") / "tiny")


@pytest.fixture(scope="module")
def config(bundle):
    return load_config(bundle)


@pytest.fixture
def cache(tmp_path):
    cache = EngineCache(tmp_path / "engines")
    cache.prepare()
    return cache


@pytest.fixture
def machine(monkeypatch):
    """This process on a machine with a GPU and TensorRT."""
    monkeypatch.setattr(cuda.ctypes, "CDLL", lambda name: driver)
    monkeypatch.setitem(sys.modules, "tensorrt", fake_gpu.tensorrt_module(DEVICE.tensorrt))
    driver = fake_gpu.Driver()
    return driver


def key_of(config, device=DEVICE, rung=0):
    return EngineKey.of(config, device, ladder(config, device)[rung])


def store(cache, key, content=b"engine"):
    path = cache.folder / "new"
    path.write_bytes(content)
    cache.store(key, path, {"build_s": 1.5})


def with_half_graph(config):
    return dataclasses.replace(config, files=config.files | {"model.fp16.onnx": "0" * 64})


@pytest.mark.parametrize(
    ("version", "half", "expected"),
    [
        ("8.6.2", True, ["weak fp16", "fp32 with TF32"]),
        ("10.3.0", True, ["strong fp16", "weak fp16", "fp32 with TF32"]),
        ("10.13.3.9", False, ["weak fp16", "fp32 with TF32"]),
        ("11.4", True, ["strong fp16", "fp32 with TF32"]),
        ("11.4", False, ["fp32 with TF32"]),
    ],
)
def test_precisions_are_tried_from_the_fastest_to_the_safest(config, version, half, expected):
    rungs = ladder(with_half_graph(config) if half else config, DEVICE._replace(tensorrt=version))
    assert [rung.precision for rung in rungs] == expected
    for rung in rungs:
        assert rung.graph == ("model.fp16.onnx" if rung.precision == "strong fp16" else "model.onnx")
        assert rung.half == (rung.precision == "weak fp16")
        assert rung.typed == (not version.startswith("8") and not rung.half)


def test_no_engine_is_built_of_graphs_apart(bundle, config, cache, machine, monkeypatch, capsys):
    split = dataclasses.replace(config, files=dict.fromkeys(SPLIT_NAMES, "0" * 64))
    assert ladder(split, DEVICE) == []
    with pytest.raises(Unavailable, match="engines are built of models in one graph only"):
        open_engine(bundle, split, cache.folder)
    monkeypatch.setattr(engine_commands, "load_config", lambda folder: split)
    assert cli.main(["engine", "build", "--model", str(bundle), "--cache", str(cache.folder)]) == 2
    assert "one graph only, this one has encoder and decoder apart; ONNX Runtime" in capsys.readouterr().err


def test_what_was_stored_comes_back(cache, config):
    store(cache, key_of(config))
    assert cache.read(key_of(config)) == b"engine"
    assert [path.suffix for path in sorted(cache.folder.iterdir())] == [".engine", ".json"]


@pytest.mark.parametrize(
    "other",
    [
        DEVICE._replace(tensorrt="10.3.1"),
        DEVICE._replace(gpu=DEVICE.gpu._replace(name="Thor")),
        DEVICE._replace(gpu=DEVICE.gpu._replace(uuid="another")),
        DEVICE._replace(gpu=DEVICE.gpu._replace(compute_capability="11.0")),
        DEVICE._replace(gpu=DEVICE.gpu._replace(cuda="13.0")),
    ],
)
def test_an_engine_of_another_device_is_none(cache, config, other):
    store(cache, key_of(config))
    assert cache.read(key_of(config, other)) is None


def test_an_engine_of_another_bundle_or_precision_is_none(cache, config):
    store(cache, key_of(config))
    changed = dataclasses.replace(config, files=config.files | {"model.onnx": "0" * 64})
    assert cache.read(key_of(changed)) is None
    assert cache.read(key_of(config, rung=1)) is None
    card = dataclasses.replace(config, files=config.files | {"README.md": "0" * 64})
    assert cache.read(key_of(card)) == b"engine", "a model card changes no engine"


@pytest.mark.parametrize("content", [b"engin", b"engine!", b"", b"ENGINE"])
def test_a_truncated_or_changed_engine_is_not_trusted(cache, config, content):
    store(cache, key_of(config))
    cache.engine_path(key_of(config)).write_bytes(content)
    assert cache.read(key_of(config)) is None
    assert search(cache, config, DEVICE).rung == ladder(config, DEVICE)[0], "it is to be built again"


def test_an_engine_without_a_record_is_not_trusted(cache, config):
    store(cache, key_of(config))
    cache.engine_path(key_of(config)).with_suffix(".json").unlink()
    assert cache.read(key_of(config)) is None


def test_an_engine_under_the_name_of_another_is_not_trusted(cache, config):
    mine, other = key_of(config), key_of(config, DEVICE._replace(tensorrt="10.7.0"))
    store(cache, other)
    for suffix in (".json", ".engine"):
        cache.engine_path(other).with_suffix(suffix).rename(cache.engine_path(mine).with_suffix(suffix))
    assert cache.read(mine) is None
    assert cache.records() == []


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_record_is_read_as_before_or_not_at_all(cache, config, data):
    key = key_of(config)
    store(cache, key)
    path = cache.engine_path(key).with_suffix(".json")
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    assert cache.read(key) in (None, b"engine")
    assert len(list(engines.describe(cache.records()))) <= 1


@pytest.mark.parametrize("content", [b"[]", b"{}", b"[" * 100_000, b'{"key": 3}', b"x" * (1 << 20)])
def test_a_record_that_is_none_is_passed_over(cache, config, content):
    cache.engine_path(key_of(config)).with_suffix(".json").write_bytes(content)
    assert cache.record(key_of(config)) is None
    assert cache.records() == []


def test_a_cache_that_others_may_write_to_is_not_used(cache, config):
    store(cache, key_of(config))
    cache.folder.chmod(0o777)
    with pytest.raises(SaomError, match="other users may write there, and an engine is as good as a program"):
        cache.read(key_of(config))


def test_a_new_cache_is_the_users_own(tmp_path):
    EngineCache(tmp_path / "a" / "engines").prepare()
    assert (tmp_path / "a" / "engines").stat().st_mode & 0o777 == 0o700


def test_the_cache_follows_xdg(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert engines.default_cache() == Path("/somewhere/saom_ros/engines")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert engines.default_cache() == Path.home() / ".cache/saom_ros/engines"


def test_a_rejected_precision_is_passed_over_with_its_reason(cache, config):
    cache.reject(key_of(config), "no such layer")
    found = search(cache, config, DEVICE)
    assert (found.engine, found.rung.precision) == (b"", "fp32 with TF32")
    assert found.rejected == ("weak fp16: no such layer",)
    store(cache, key_of(config, rung=1))
    assert search(cache, config, DEVICE).engine == b"engine"


def test_when_every_precision_is_rejected_nothing_is_left_to_build(cache, config):
    for rung in (0, 1):
        cache.reject(key_of(config, rung=rung), "wrong")
    assert search(cache, config, DEVICE).rung is None


def test_auto_takes_the_engine_where_there_is_one(machine, cache, bundle, config):
    without = runtimes.create(bundle, config, engines=cache.folder)
    assert without.name == WITHOUT_GPU
    assert "TensorRT: no engine for this model on this GPU yet (saom engine build)" in without.note
    cache.reject(key_of(config), "mean mask IoU 0.3")
    store(cache, key_of(config, rung=1), engine_of(bundle))
    runtime = runtimes.create(bundle, config, engines=cache.folder)
    assert runtime.name == "tensorrt"
    assert runtime.note == "10.3.0 on Orin in fp32 with TF32 (not in weak fp16: mean mask IoU 0.3)"


def test_an_engine_that_tensorrt_refuses_is_dropped(machine, cache, bundle, config):
    store(cache, key_of(config), b"of an older driver")
    with pytest.raises(Unavailable, match="refuses this engine"):
        open_engine(bundle, config, cache.folder)
    assert cache.record(key_of(config)) is None


def test_a_wish_for_tensorrt_is_answered_with_the_next_best_and_the_reason(bundle, config):
    runtime = runtimes.create(bundle, config, "tensorrt")
    assert runtime.name == WITHOUT_GPU
    assert "(TensorRT: not installed; CUDA: onnxruntime" in runtime.note


def test_an_old_tensorrt_is_refused(machine, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", fake_gpu.tensorrt_module("8.5.2"))
    with pytest.raises(Unavailable, match=r"TensorRT 8\.5\.2 is too old, 8\.6 \(JetPack 6\)"):
        engines.find_device()


def test_the_command_lists_engines_and_rejections(cache, config, capsys):
    assert cli.main(["engine", "list", "--cache", str(cache.folder)]) == 0
    assert "no engine in" in capsys.readouterr().out
    store(cache, key_of(config, rung=1))
    cache.reject(key_of(config), "no such layer")
    assert cli.main(["engine", "list", "--cache", str(cache.folder)]) == 0
    assert sorted(capsys.readouterr().out.splitlines()) == [
        "tiny 1, fp32 with TF32, Orin, TensorRT 10.3.0, CUDA 12.6: build_s 1.5",
        "tiny 1, weak fp16, Orin, TensorRT 10.3.0, CUDA 12.6: rejected: no such layer",
    ]


def test_building_without_tensorrt_is_a_message_and_no_traceback(cache, bundle, capsys):
    assert cli.main(["engine", "build", "--model", str(bundle), "--cache", str(cache.folder)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: no TensorRT engine can be built here: TensorRT cannot be imported")
    assert "ONNX Runtime runs this model" in error


def test_records_are_json_for_other_tools(cache, config):
    store(cache, key_of(config))
    record = json.loads(cache.engine_path(key_of(config)).with_suffix(".json").read_text())
    assert record["key"]["gpu"] == "Orin"
    assert record["facts"] == {"build_s": 1.5}
