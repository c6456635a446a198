"""What is built: one version everywhere, and a wheel with everything that the robot needs."""

import subprocess
import sys
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import saom_ros

ROOT = Path(__file__).parents[2]


def test_package_xml_has_the_version_of_the_package():
    assert ElementTree.parse(ROOT / "package.xml").findtext("version") == saom_ros.__version__


def test_the_wheel_holds_model_sample_launch_files_and_no_training(tmp_path):
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, timeout=300)
    (wheel,) = tmp_path.glob("*.whl")
    assert f"saom_ros-{saom_ros.__version__}-" in wheel.name
    names = zipfile.ZipFile(wheel).namelist()
    for expected in (
        "saom_ros/models/default/model.onnx",
        "saom_ros/models/default/model.yaml",
        "saom_ros/sample/000.jpg",
        "saom_ros/nodes/segment_node.py",
        "share/saom_ros/launch/segment.launch.py",
        "share/saom_ros/config/fastdds_large_images.xml",
        "share/ament_index/resource_index/packages/saom_ros",
    ):
        assert any(name.endswith(expected) for name in names), expected
    assert not any(name.startswith(("training/", "tests/")) for name in names)
