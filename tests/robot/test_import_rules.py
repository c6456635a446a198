"""The two halves stay apart: the robot's code never needs torch or `training`, and only the nodes know ROS."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROBOT_LIBRARIES = {"numpy", "cv2", "yaml", "scipy", "onnxruntime", "openvino", "saom_ros"}
OPTIONAL_LIBRARIES = {
    "rosbag2.py": {"rosbags"},
    "engines.py": {"tensorrt"},
    "tensorrt.py": {"tensorrt"},
    "engine_build.py": {"polygraphy"},
}
TRAINING_ONLY = {
    "torch",
    "torchvision",
    "lightning",
    "timm",
    "onnx",
    "training",
    "ai2thor",
    "mujoco",
    "moderngl",
    "skimage",
}


def imported(path):
    """Top-level names of all modules that a file imports, also inside functions."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.partition(".")[0])
    return names


def sources(folder):
    return sorted((ROOT / folder).rglob("*.py"))


def relative(path):
    return str(path.relative_to(ROOT))


def test_imports_inside_functions_are_seen(tmp_path):
    (tmp_path / "a.py").write_text("def f():\n    import torch.nn\n    from training.sam import model\n")
    assert imported(tmp_path / "a.py") == {"torch", "training"}


@pytest.mark.parametrize("path", [p for p in sources("saom_ros") if "nodes" not in p.parts], ids=relative)
def test_the_robot_side_needs_its_few_libraries_only(path):
    assert imported(path) <= ROBOT_LIBRARIES | OPTIONAL_LIBRARIES.get(path.name, set()) | sys.stdlib_module_names


@pytest.mark.parametrize("path", sources("saom_ros/nodes"), ids=relative)
def test_the_nodes_need_nothing_of_training(path):
    assert not imported(path) & TRAINING_ONLY


@pytest.mark.parametrize("path", sources("training"), ids=relative)
def test_training_knows_nothing_of_ros(path):
    assert "rclpy" not in imported(path)


@pytest.mark.parametrize("path", sources("tests/robot"), ids=relative)
def test_the_robot_side_is_tested_without_torch(path):
    assert not imported(path) & (TRAINING_ONLY - {"onnx"})


def test_importing_the_robot_side_loads_neither_torch_nor_ros():
    code = "import sys, saom_ros.cli; print(sorted({m.partition('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in ("torch", "rclpy", "training", "onnxruntime", "scipy", "rosbags"):
        assert f"'{name}'" not in loaded
