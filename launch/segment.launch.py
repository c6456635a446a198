"""Start segment_node: `ros2 launch saom_ros segment.launch.py image:=/camera/camera/color/image_raw`.

With `cameras:=front,wrist` one node, and with it one model, serves several cameras, and CAMERA in the names of topics
stands for each of them. multi_camera.launch.py and demo.launch.py include this file: its arguments are theirs, too.
"""

from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from saom_ros.nodes.dds import large_image_environment

CONFIG = Path(__file__).parent.parent / "config"


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            DeclareLaunchArgument("image", default_value="image", description="Topic of the camera's images"),
            DeclareLaunchArgument(
                "depth", default_value="depth", description="Topic of depth registered to the images, for ~/points"
            ),
            DeclareLaunchArgument(
                "camera_info", default_value="camera_info", description="Topic of the images' camera_info"
            ),
            DeclareLaunchArgument(
                "cameras",
                default_value="",
                description="Names of several cameras that share the model, separated by commas; CAMERA in the topics "
                "above stands for each name",
            ),
            DeclareLaunchArgument("namespace", default_value="", description="Namespace of the node and its topics"),
            DeclareLaunchArgument(
                "model", default_value="", description="Folder of the model bundle; empty: the one that ships"
            ),
            DeclareLaunchArgument("runtime", default_value="auto", description="Inference runtime"),
            DeclareLaunchArgument(
                "params_file",
                default_value=str(CONFIG / "segment.yaml"),
                description="Parameters of the node; what it says wins over model, runtime and autostart here",
            ),
            DeclareLaunchArgument(
                "overlay", default_value="false", description="Show the overlay (needs the package image_view)"
            ),
            DeclareLaunchArgument(
                "rviz", default_value="false", description="Show image, overlay and points (needs the package rviz2)"
            ),
            DeclareLaunchArgument("use_sim_time", default_value="false", description="Take the time from /clock"),
            DeclareLaunchArgument(
                "autostart", default_value="true", description="Activate at once; false: leave it to a manager"
            ),
            DeclareLaunchArgument("respawn", default_value="false", description="Start the node again when it dies"),
            OpaqueFunction(function=_nodes),  # remappings and viewers depend on how many cameras there are
        ]
    )


def _nodes(context: LaunchContext) -> list[Node]:
    cameras = [name.strip() for name in LaunchConfiguration("cameras").perform(context).split(",")]
    return [_segment_node(context, cameras), *(viewer for camera in cameras for viewer in _viewers(context, camera))]


def _segment_node(context: LaunchContext, cameras: list[str]) -> Node:
    parameters = [
        {
            "model": ParameterValue(LaunchConfiguration("model"), value_type=str),
            "runtime": ParameterValue(LaunchConfiguration("runtime"), value_type=str),
            "autostart": ParameterValue(LaunchConfiguration("autostart"), value_type=bool),
            "use_sim_time": ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool),
        },
        LaunchConfiguration("params_file"),
    ]
    if any(cameras):
        parameters.append({"cameras": cameras})
    return Node(
        package="saom_ros",
        executable="segment_node",
        # No name: with one, launch_ros writes the parameters above below the name and not below /**, and rcl then
        # takes both mappings before the file, whatever the order here. The node calls itself segment_node.
        namespace=LaunchConfiguration("namespace"),
        parameters=parameters,
        remappings=[
            (f"{camera}/{topic}".lstrip("/"), _topic(context, topic, camera))
            for camera in cameras
            for topic in ("image", "depth", "camera_info")
        ],
        respawn=LaunchConfiguration("respawn"),
        respawn_delay=2.0,
        additional_env=large_image_environment(),
        output="screen",
    )


def _viewers(context: LaunchContext, camera: str) -> list[Node]:
    results = f"segment_node/{camera}".rstrip("/")
    return [
        Node(
            package="image_view",
            executable="image_view",
            name=f"overlay_view_{camera}".rstrip("_"),
            namespace=LaunchConfiguration("namespace"),
            remappings=[("image", f"{results}/overlay")],
            condition=IfCondition(LaunchConfiguration("overlay")),
        ),
        Node(
            package="rviz2",
            executable="rviz2",
            name=f"rviz_{camera}".rstrip("_"),
            namespace=LaunchConfiguration("namespace"),
            arguments=["-d", str(CONFIG / "segment.rviz")],
            parameters=[{"use_sim_time": ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool)}],
            # The names in the RViz file, brought to where this launch has them.
            remappings=[
                ("/image", _topic(context, "image", camera)),
                ("/overlay", f"{results}/overlay"),
                ("/points", f"{results}/points"),
            ],
            condition=IfCondition(LaunchConfiguration("rviz")),
        ),
    ]


def _topic(context: LaunchContext, argument: str, camera: str) -> str:
    return LaunchConfiguration(argument).perform(context).replace("CAMERA", camera)
