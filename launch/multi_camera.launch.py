"""Start one segment_node, and with it one model, for several cameras.

`ros2 launch saom_ros multi_camera.launch.py cameras:=front,wrist` reads /front/color/image_raw and
/wrist/color/image_raw and writes segment_node/front/instance_mask and segment_node/wrist/instance_mask.
"""

from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from saom_ros.nodes.dds import large_image_environment

CONFIG = Path(__file__).parent.parent / "config"


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            DeclareLaunchArgument("cameras", default_value="front,wrist", description="Names, separated by commas"),
            DeclareLaunchArgument(
                "image", default_value="/CAMERA/color/image_raw", description="Topic of images; CAMERA: each name"
            ),
            DeclareLaunchArgument(
                "depth",
                default_value="/CAMERA/aligned_depth_to_color/image_raw",
                description="Topic of depth registered to the images, for ~/CAMERA/points",
            ),
            DeclareLaunchArgument(
                "camera_info", default_value="/CAMERA/color/camera_info", description="Topic of the images' camera_info"
            ),
            DeclareLaunchArgument("namespace", default_value="", description="Namespace of the node"),
            DeclareLaunchArgument(
                "model", default_value="", description="Folder of the model bundle; empty: the one that ships"
            ),
            DeclareLaunchArgument("runtime", default_value="auto", description="Inference runtime"),
            DeclareLaunchArgument(
                "params_file",
                default_value=str(CONFIG / "segment.yaml"),
                description="Parameters of the node; what it says wins over model, runtime and autostart here",
            ),
            DeclareLaunchArgument("use_sim_time", default_value="false", description="Take the time from /clock"),
            DeclareLaunchArgument(
                "autostart", default_value="true", description="Activate at once; false: leave it to a manager"
            ),
            DeclareLaunchArgument("respawn", default_value="false", description="Start the node again when it dies"),
            OpaqueFunction(function=_node),  # the remappings depend on how many cameras there are
        ]
    )


def _node(context: LaunchContext) -> list[Node]:
    cameras = [name.strip() for name in LaunchConfiguration("cameras").perform(context).split(",")]
    topics = {name: LaunchConfiguration(name).perform(context) for name in ("image", "depth", "camera_info")}
    return [
        Node(
            package="saom_ros",
            executable="segment_node",
            name="segment_node",
            namespace=LaunchConfiguration("namespace"),
            parameters=[
                {
                    "model": ParameterValue(LaunchConfiguration("model"), value_type=str),
                    "runtime": ParameterValue(LaunchConfiguration("runtime"), value_type=str),
                    "autostart": ParameterValue(LaunchConfiguration("autostart"), value_type=bool),
                    "use_sim_time": ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool),
                },
                LaunchConfiguration("params_file"),
                {"cameras": cameras},
            ],
            remappings=[
                (f"{camera}/{topic}", pattern.replace("CAMERA", camera))
                for camera in cameras
                for topic, pattern in topics.items()
            ],
            respawn=LaunchConfiguration("respawn"),
            respawn_delay=2.0,
            additional_env=large_image_environment(),
            output="screen",
        )
    ]
