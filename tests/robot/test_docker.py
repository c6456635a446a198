"""The Docker files, as far as they can be checked without a Docker engine; `make lint` runs hadolint on them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
DOCKERFILES = [DOCKER / "Dockerfile", DOCKER / "Dockerfile.jetson"]


def build_context(folder: Path) -> Path:
    """What `docker build` sees: the entries that .dockerignore takes back from its leading `*`."""
    lines = (ROOT / ".dockerignore").read_text().split()
    assert lines[0] == "*"
    for name in (line[1:] for line in lines if line.startswith("!")):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    return folder


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_what_is_copied_lies_in_the_build_context(path, tmp_path):
    context = build_context(tmp_path)
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", path.read_text(), re.M)
    assert copied
    for source in " ".join(copied).split():
        assert (context / source).exists(), source


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_the_node_runs_as_a_user_with_a_health_check(path):
    last = path.read_text().split("\nFROM ")[-1 if "jetson" in path.name else 2]
    assert re.search(r"^USER \$\{UID\}:\$\{GID\}$", last, re.M)
    assert "HEALTHCHECK" in last


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_every_step_of_a_dockerfile_is_one_of_the_script(path):
    steps = set(re.findall(r"install\.sh (\w+)", re.sub(r"^(#|COPY).*$", "", path.read_text(), flags=re.M)))
    script = (DOCKER / "install.sh").read_text()
    assert steps
    assert steps <= set(re.findall(r"^(\w+)\(\) \{$", script, re.M))


def test_the_package_can_be_built_from_the_build_context(tmp_path):
    context = build_context(tmp_path)
    for sources in re.findall(r'glob\("([^"]+)"\)', (context / "setup.py").read_text()):
        assert list(context.glob(sources)), sources
    assert (context / "saom_ros/models/default/model.onnx").exists()


def test_an_unknown_step_is_refused():
    result = subprocess.run([DOCKER / "install.sh", "nonsense"], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "'nonsense' is none of ros, packages, build, user" in result.stderr


def test_camera_and_segmenter_share_network_memory_and_user():
    services = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]
    assert set(services) == {"camera", "segment"}
    for key in ("network_mode", "ipc", "user"):
        assert services["camera"][key] == services["segment"][key]
    assert services["segment"]["network_mode"] == services["segment"]["ipc"] == "host"
