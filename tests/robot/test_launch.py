"""Launch and configuration files: the nodes, names, files and parameters that they speak of exist."""

import ast
import importlib
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: pip install 'saom_ros[ros]' or source a ROS 2")

import rclpy
import yaml
from launch_recorder import record

from saom_ros.nodes import compat, dds
from saom_ros.nodes.parameters import ImageSourceParameters, SegmentParameters, checked, limits_of

ROOT = Path(__file__).resolve().parents[2]
SEGMENT, DEMO, MULTI = (ROOT / "launch" / f"{name}.launch.py" for name in ("segment", "demo", "multi_camera"))
PARAMETERS = {"segment_node": SegmentParameters, "image_source_node": ImageSourceParameters}
PROFILE = str(ROOT / "config" / "fastdds_large_images.xml")


def console_scripts() -> dict[str, str]:
    """Executable name -> `module:function` as setup.py declares them."""
    texts = [
        node.value
        for node in ast.walk(ast.parse((ROOT / "setup.py").read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " = saom_ros." in node.value
    ]
    return dict(text.split(" = ") for text in texts)


@pytest.mark.parametrize("path", [SEGMENT, DEMO, MULTI])
def test_executables_of_ours_are_entry_points_that_can_be_imported(path):
    ours = [node for node in record(path).nodes.values() if node.package == "saom_ros"]
    assert ours
    for node in ours:
        module, function = console_scripts()[node.executable].split(":")
        assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.parametrize("path", [SEGMENT, DEMO, MULTI])
def test_every_parameter_of_a_launch_file_exists_and_its_default_is_valid(path):
    for node in record(path).nodes.values():
        for item in node.parameters:
            values = item if isinstance(item, dict) else file_parameters(Path(item))
            for name, value in values.items():
                if name != "use_sim_time":
                    checked(PARAMETERS[node.executable], name, value)


@pytest.mark.parametrize("path", [SEGMENT, DEMO, MULTI])
def test_every_launch_argument_is_described(path):
    for argument in record(path).arguments.values():
        assert argument.description


@pytest.mark.parametrize("path", [SEGMENT, DEMO, MULTI])
def test_nothing_of_other_packages_starts_unless_asked(path):
    quiet = record(path)
    assert {node.package for node in quiet.nodes.values()} == {"saom_ros"}
    assert quiet.optional == {"image_view", "rviz2"}
    loud = record(path, overlay="true", rviz="true")
    assert {"image_view", "rviz2"} <= {node.package for node in loud.nodes.values()}


def test_launch_arguments_reach_the_node():
    given = {
        "image": "/front/color/image_raw",
        "depth": "/front/depth",
        "camera_info": "/front/info",
        "respawn": "true",
        "namespace": "front",
        "model": "/models/mine",
        "runtime": "onnxruntime",
        "params_file": "/my.yaml",
        "use_sim_time": "true",
        "autostart": "false",
    }
    node = record(SEGMENT, **given).nodes["segment_node"]
    assert node.remappings == {
        "image": "/front/color/image_raw",
        "depth": "/front/depth",
        "camera_info": "/front/info",
    }
    assert (node.respawn, record(SEGMENT).nodes["segment_node"].respawn) == ("true", "false")
    assert node.namespace == "front"
    assert node.parameters == [
        {"model": "/models/mine", "runtime": "onnxruntime", "autostart": False, "use_sim_time": True},
        "/my.yaml",
    ], "the file comes last, so what it says wins over the defaults of the arguments"


def test_viewers_look_at_the_topics_of_the_node():
    nodes = record(SEGMENT, overlay="true", rviz="true", namespace="front").nodes
    assert nodes["overlay_view"].remappings == {"image": "segment_node/overlay"}
    assert nodes["overlay_view"].namespace == nodes["rviz"].namespace == "front"
    config = Path(nodes["rviz"].arguments[1])
    displays = yaml.safe_load(config.read_text())["Visualization Manager"]["Displays"]
    assert {display["Topic"]["Value"] for display in displays} == set(nodes["rviz"].remappings)


def test_the_demo_plays_its_source_into_the_segmentation_node():
    nodes = record(DEMO, source="/photos", rate="5.0", model="/models/mine").nodes
    assert nodes["image_source_node"].parameters == [{"source": "/photos", "rate": 5.0}]
    assert nodes["segment_node"].parameters[0]["model"] == "/models/mine"
    assert nodes["segment_node"].remappings["image"] == nodes["image_source_node"].remappings["image"] == "image"


def test_the_source_of_the_demo_follows_the_node_to_its_namespace_and_topic():
    nodes = record(DEMO, namespace="front", image="color").nodes
    for name in ("image_source_node", "segment_node"):
        assert (nodes[name].namespace, nodes[name].remappings["image"]) == ("front", "color")


def test_several_cameras_get_one_node_whose_topics_follow_the_pattern():
    node = record(MULTI, cameras="left, right", depth="/d/CAMERA").nodes["segment_node"]
    assert node.parameters[-1] == {"cameras": ["left", "right"]}
    assert node.remappings == {
        "left/image": "/left/left/color/image_raw",
        "left/depth": "/d/left",
        "left/camera_info": "/left/left/color/camera_info",
        "right/image": "/right/right/color/image_raw",
        "right/depth": "/d/right",
        "right/camera_info": "/right/right/color/camera_info",
    }


def test_a_realsense_among_several_cameras_has_the_topics_that_readme_and_docker_give_for_one():
    node = record(MULTI, cameras="camera").nodes["segment_node"]
    topics = {name.removeprefix("camera/"): topic for name, topic in node.remappings.items()}
    assert set(topics) == {"image", "depth", "camera_info"}
    for page in ("README.md", "docker/compose.yaml"):
        given = re.findall(r"\b(image|depth|camera_info):=(/camera/[\w/]+)", (ROOT / page).read_text())
        assert dict(given) == topics, page


def test_each_of_several_cameras_has_its_viewers():
    nodes = record(MULTI, cameras="left,right", overlay="true", rviz="true").nodes
    for camera in ("left", "right"):
        assert nodes[f"overlay_view_{camera}"].remappings == {"image": f"segment_node/{camera}/overlay"}
        assert nodes[f"rviz_{camera}"].remappings == {
            "/image": f"/{camera}/{camera}/color/image_raw",
            "/overlay": f"segment_node/{camera}/overlay",
            "/points": f"segment_node/{camera}/points",
        }


@pytest.mark.parametrize("path", [SEGMENT, MULTI])
@pytest.mark.parametrize("section", ["/**", "/robot/segment_node"])
def test_rclpy_gets_the_launch_arguments_except_where_the_parameter_file_says_otherwise(path, section, tmp_path):
    """rcl takes the sections of all files in the order in which each first appears, and not the files in theirs."""
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump({section: {"ros__parameters": {"runtime": "onnxruntime", "threads": 3}}}))
    given = {"params_file": str(file), "namespace": "robot", "runtime": "openvino", "model": "/models/mine"}
    node = record(path, cameras="left,right", **given).nodes["segment_node"]
    values = rclpy_parameters("segment_node", node.ros_arguments(tmp_path))
    assert values == {
        "model": "/models/mine",
        "runtime": "onnxruntime",
        "threads": 3,
        "autostart": True,
        "cameras": ["left", "right"],
        "use_sim_time": False,
    }


def test_the_cameras_given_win_over_the_shipped_parameter_file(tmp_path):
    node = record(MULTI, cameras="left,right").nodes["segment_node"]
    assert rclpy_parameters("segment_node", node.ros_arguments(tmp_path))["cameras"] == ["left", "right"]


@pytest.mark.parametrize("path", [SEGMENT, DEMO, MULTI])
def test_our_nodes_carry_large_images_unless_the_user_has_a_profile(path, monkeypatch):
    variable = compat.profile_variables()[0]
    for name in compat.profile_variables():
        monkeypatch.delenv(name, raising=False)
    for node in record(path).nodes.values():
        assert node.environment == {variable: PROFILE}
    monkeypatch.setenv(variable, "/mine.xml")
    for node in record(path).nodes.values():
        assert node.environment == {}


def test_the_shared_memory_profile_holds_a_full_hd_image():
    space = {"dds": "http://www.eprosima.com"}
    tree = ElementTree.parse(PROFILE)
    largest = int(tree.findtext(".//dds:maxMessageSize", namespaces=space))
    segment = int(tree.findtext(".//dds:segment_size", namespaces=space))
    assert 1920 * 1080 * 3 < largest <= segment
    defined = {element.text for element in tree.findall(".//dds:transport_descriptor/dds:transport_id", space)}
    used = {element.text for element in tree.findall(".//dds:userTransports/dds:transport_id", space)}
    assert defined == used


def test_the_shipped_parameter_file_has_one_section_for_any_name_and_the_defaults():
    content = yaml.safe_load((ROOT / "config" / "segment.yaml").read_text())
    assert list(content) == ["/**"], "a section with a node's name would beat -p and miss renamed nodes"
    values = content["/**"]["ros__parameters"]
    assert {name: checked(SegmentParameters, name, value) for name, value in values.items()} == {
        name: getattr(SegmentParameters, name) for name in values
    }
    assert set(limits_of(SegmentParameters)) - set(values) == {"model", "runtime", "autostart"}


def rclpy_parameters(name: str, ros_arguments: list[str]) -> dict:
    """What rclpy makes of a command line for a node of that name."""
    context = rclpy.Context()
    rclpy.init(args=["--ros-args", *ros_arguments], context=context, domain_id=dds.free_domain())
    node = rclpy.create_node(name, context=context)
    try:
        return compat.parameter_overrides(node)
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)


def file_parameters(path: Path) -> dict:
    return yaml.safe_load(path.read_text())["/**"]["ros__parameters"]
