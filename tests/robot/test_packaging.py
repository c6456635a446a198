"""What is built: one version everywhere, and a wheel with everything that the robot needs."""

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

import saom_ros

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("config", "launch", "resource", "saom_ros")
FILES = ("package.xml", "pyproject.toml", "setup.cfg", "setup.py")
"""What the package is built from."""


def test_package_xml_has_the_version_of_the_package():
    assert ElementTree.parse(ROOT / "package.xml").findtext("version") == saom_ros.__version__


def test_package_xml_names_each_ros_package_that_is_imported():
    imported = set()
    for path in [*(ROOT / "saom_ros").rglob("*.py"), *(ROOT / "launch").glob("*.py")]:
        found = re.findall(r"^\s*(?:from|import) (\w+)|import_module\(\"(\w+)", path.read_text(), re.M)
        imported |= {name for names in found for name in names if name}
    ros = {name for name in imported if re.fullmatch(r"rclpy|launch\w*|tf2_\w+|\w+_(?:msgs|srvs|interfaces)", name)}
    named = {entry.text for entry in ElementTree.parse(ROOT / "package.xml").iter("exec_depend")}
    assert {"rclpy", "sensor_msgs", "std_srvs", "launch_ros"} <= ros
    assert {name.replace("tf2_ros", "tf2_ros_py") for name in ros} <= named


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    """The wheel of a clean copy: what an older build left in the checkout would get into it."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for name in FOLDERS:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, source)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder)]
    subprocess.run([*build, str(source)], check=True, capture_output=True, timeout=300)
    (path,) = folder.glob("*.whl")
    assert f"saom_ros-{saom_ros.__version__}-" in path.name
    return zipfile.ZipFile(path)


def test_the_wheel_holds_model_sample_launch_files_and_no_training(wheel):
    names = wheel.namelist()
    for expected in (
        "saom_ros/models/default/model.onnx",
        "saom_ros/models/default/model.yaml",
        "saom_ros/sample/000.jpg",
        "share/ament_index/resource_index/packages/saom_ros",
    ):
        assert any(name.endswith(expected) for name in names), expected
    for path in [*(ROOT / "launch").iterdir(), *(ROOT / "config").iterdir()]:
        if path.is_file():
            assert any(name.endswith(f"share/saom_ros/{path.parent.name}/{path.name}") for name in names), path
    assert not any(name.startswith(("training/", "tests/")) for name in names)


def test_the_wheel_holds_each_module_of_the_package(wheel):
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "saom_ros").rglob("*.py")}
    assert {name for name in wheel.namelist() if name.startswith("saom_ros/") and name.endswith(".py")} == modules


def test_each_set_of_ros_wheels_is_pinned_as_a_whole(wheel):
    (metadata,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    required = re.findall(r"Requires-Dist: (ros-.+)", wheel.read(metadata).decode())
    sets = {line.partition("extra == ")[2].strip("'\"") for line in required}
    assert sets == {"ros", "ros-kilted"}
    assert len(required) == 2 * len(sets)
    assert all("==" in line.partition(";")[0] for line in required)
