"""Building engines: the parent with builders that do as they are told, and the child with the stand-in of `fake_gpu`.

No engine is really built here; `tests/training/test_tensorrt_rtx.py` has NVIDIA's parser and builder do that.
"""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import fake_gpu
import onnx
import pytest
from golden_bundle import engine_of, write_golden_bundle
from test_engines import DEVICE, key_of
from tiny_bundle import tiny_model

from saom_ros import cli, engine_build, engines
from saom_ros.bundle import load_config
from saom_ros.engine_build import Cancelled, EngineBuild, build, main
from saom_ros.engines import EngineCache
from saom_ros.errors import SaomError
from saom_ros.runtimes import cuda

BUILDER = """
import hashlib, json, os, signal, sys, time
plan = json.loads(sys.argv[1])
bundle, graph, engine, report, timing = sys.argv[2:7]
precision = "weak fp16" if "--half" in sys.argv else "fp32 with TF32" if graph == "model.onnx" else "strong fp16"
with open(os.path.join(os.path.dirname(os.path.dirname(engine)), "log"), "a") as log:
    log.write(precision + "\\n")
what = plan.get(precision, "good")
if what == "crash":
    print("segmentation fault in a tactic", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGSEGV)
elif what == "hang":
    time.sleep(600)
elif what == "exit":
    sys.exit("no memory")
elif what == "silent":
    sys.exit(0)
elif what == "reject":
    content = {"rejected": "mean mask IoU 0.3"}
else:
    with open(engine, "wb") as stream:
        stream.write(b"engine" if what == "good" else b"engi")
    content = {"sha256": hashlib.sha256(b"engine").hexdigest(), "build_s": 1.0}
with open(report, "w") as stream:
    json.dump(content, stream)
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    return write_golden_bundle(tmp_path_factory.mktemp("golden") / "tiny")


@pytest.fixture(scope="module")
def config(bundle):
    return load_config(bundle)


@pytest.fixture
def prepare(tmp_path, bundle, config):
    """A function from a plan, precision -> what its builder does, to a build and its cache."""
    (tmp_path / "builder.py").write_text(BUILDER)

    def prepare(seconds=60.0, **plan):
        cache = EngineCache(tmp_path / "engines")
        plan = {name.replace("_", " "): what for name, what in plan.items()}
        child = [sys.executable, str(tmp_path / "builder.py"), json.dumps(plan)]
        return EngineBuild(bundle, config, DEVICE, cache, child, seconds), cache

    return prepare


def test_the_first_good_precision_is_built_once(prepare):
    build, cache = prepare()
    assert build.run().engine == build.run().engine == b"engine"
    assert (cache.folder / "log").read_text().splitlines() == ["weak fp16"]
    assert not list(cache.folder.glob(".building-*"))
    assert build.progress == ""


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("reject", "mean mask IoU 0.3"),
        ("crash", "the builder was killed by signal 11: segmentation fault in a tactic"),
        ("exit", "the builder ended with status 1: no memory"),
        ("silent", "the builder left no engine"),
        ("short", "the engine on the disk is not the one that was compared"),
    ],
)
def test_a_builder_that_fails_is_followed_by_the_next_precision(prepare, config, what, reason):
    build, cache = prepare(weak_fp16=what)
    found = build.run()
    assert (found.engine, found.rung.precision) == (b"engine", "fp32 with TF32")
    assert found.rejected == (f"weak fp16: {reason}",)
    assert not cache.engine_path(key_of(config)).exists()


def test_a_builder_that_hangs_is_ended(prepare):
    build, _ = prepare(seconds=2.0, weak_fp16="hang")
    assert build.run().rejected == ("weak fp16: no engine after 2 s",)


def test_when_nothing_works_it_is_not_tried_again(prepare):
    build, cache = prepare(weak_fp16="reject", **{"fp32_with_TF32": "reject"})
    for _ in range(2):
        assert build.run().rung is None
    assert len((cache.folder / "log").read_text().splitlines()) == 2


def test_a_damaged_engine_is_built_again(prepare, config):
    build, cache = prepare()
    build.run()
    cache.engine_path(key_of(config)).write_bytes(b"eng")
    assert build.run().engine == b"engine"
    assert len((cache.folder / "log").read_text().splitlines()) == 2


def test_cancelling_ends_the_builder_and_rejects_nothing(prepare):
    build, cache = prepare(weak_fp16="hang")
    outcome = []

    def run():
        try:
            build.run()
        except Cancelled as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    while not (cache.folder / "log").exists():
        time.sleep(0.02)
    assert build.progress.startswith("building a TensorRT engine in weak fp16 for ")
    build.cancel()
    thread.join(30)
    assert outcome
    assert cache.records() == []
    assert not list(cache.folder.glob(".building-*"))


def test_a_cache_that_cannot_be_made_is_told(bundle, config, tmp_path):
    (tmp_path / "file").write_text("")
    build = EngineBuild(bundle, config, DEVICE, EngineCache(tmp_path / "file" / "engines"))
    with pytest.raises(SaomError, match="cannot be made: Not a directory; choose another engine cache"):
        build.run()


def test_the_builder_ends_with_its_parent(tmp_path):
    child = "import os, sys, time; from saom_ros.engine_build import _end_with_parent as e; e(os.getppid()); "
    child += f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    process = subprocess.Popen([sys.executable, "-c", parent])
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    pid = int((tmp_path / "pid").read_text())
    for _ in range(200):
        if not alive(pid):
            return
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    pytest.fail("the builder outlived its parent")


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def child(monkeypatch, tmp_path, bundle):
    """A function that runs the child in this process, with a builder that gives an engine, and returns its report."""
    driver = fake_gpu.Driver()
    monkeypatch.setattr(cuda.ctypes, "CDLL", lambda name: driver)
    monkeypatch.setattr(engine_build, "_end_with_parent", lambda parent: None)
    monkeypatch.setitem(sys.modules, "tensorrt", fake_gpu.tensorrt_module())

    def child(built):
        monkeypatch.setattr(engine_build, "build", built)
        names = ["engine", "report", "timing"]
        assert main([str(bundle), "model.onnx", *(str(tmp_path / name) for name in names), "--parent", "1"]) == 0
        return json.loads((tmp_path / "report").read_text())

    return child


def test_an_engine_that_gives_the_golden_outputs_is_kept(child, bundle, tmp_path):
    report = child(lambda *_: engine_of(bundle))
    assert (tmp_path / "engine").read_bytes() == engine_of(bundle)
    assert (report["mask_iou"], report["score_difference"]) == (1.0, 0.0)


def test_an_engine_that_is_silently_wrong_is_rejected(child, tmp_path):
    model = tiny_model()
    (gain,) = (tensor for tensor in model.graph.initializer if tensor.name == "gain")
    gain.CopyFrom(onnx.numpy_helper.from_array(-onnx.numpy_helper.to_array(gain), "gain"))
    report = child(lambda *_: fake_gpu.PREFIX + model.SerializeToString())
    assert report["rejected"].startswith("mean mask IoU 0")
    assert not (tmp_path / "engine").exists()


def test_what_the_builder_raises_is_in_the_report(child):
    def fail(*_):
        raise RuntimeError("Could not parse\nONNX correctly")

    assert child(fail) == {"rejected": "RuntimeError: Could not parse ONNX correctly"}


def test_a_missing_polygraphy_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "polygraphy", None)
    monkeypatch.setitem(sys.modules, "polygraphy.backend.trt", None)
    with pytest.raises(SaomError, match=r"Polygraphy is not installed; run: pip install 'saom_ros\[tensorrt\]'"):
        build(Path("model.onnx"), typed=True, half=False)


def test_the_command_builds_tells_and_tries_rejected_precisions_again(monkeypatch, tmp_path, bundle, capsys):
    (tmp_path / "builder.py").write_text(BUILDER)
    command = ["engine", "build", "--model", str(bundle), "--cache", str(tmp_path / "engines")]
    monkeypatch.setattr(engines, "find_device", lambda: DEVICE)
    real = EngineBuild.__init__

    def with_builder(plan):
        child = (sys.executable, str(tmp_path / "builder.py"), json.dumps(plan))
        monkeypatch.setattr(EngineBuild, "__init__", lambda self, *args: real(self, *args, child=child))

    with_builder({"weak fp16": "reject", "fp32 with TF32": "reject"})
    assert cli.main(command) == 2
    assert textwrap.dedent(capsys.readouterr().err).splitlines()[1:] == [
        "rejected weak fp16: mean mask IoU 0.3",
        "rejected fp32 with TF32: mean mask IoU 0.3",
        "error: no precision gives the golden outputs on this GPU; ONNX Runtime runs this model",
    ]
    with_builder({})
    assert cli.main(command) == 0
    assert capsys.readouterr().out.startswith("weak fp16 -> ")
