"""Start segment_node for one camera: `ros2 launch saom_ros segment.launch.py image:=/camera/color/image_raw`.

multi_camera.launch.py serves several cameras with one model.
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
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
            DeclareLaunchArgument("namespace", default_value="", description="Namespace of the node, one per camera"),
            DeclareLaunchArgument(
                "model", default_value="", description="Folder of the model bundle; empty: the one that ships"
            ),
            DeclareLaunchArgument("runtime", default_value="auto", description="Inference runtime"),
            DeclareLaunchArgument(
                "params_file",
                default_value=str(CONFIG / "segment.yaml"),
                description="Parameters of the node; what it says wins over model, runtime and autostart here",
            ),
            DeclareLaunchArgument("overlay", default_value="false", description="Show the overlay (needs image_view)"),
            DeclareLaunchArgument("rviz", default_value="false", description="Show image, overlay and points in RViz"),
            DeclareLaunchArgument("use_sim_time", default_value="false", description="Take the time from /clock"),
            DeclareLaunchArgument(
                "autostart", default_value="true", description="Activate at once; false: leave it to a manager"
            ),
            DeclareLaunchArgument("respawn", default_value="false", description="Start the node again when it dies"),
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
                ],
                remappings=[(topic, LaunchConfiguration(topic)) for topic in ("image", "depth", "camera_info")],
                respawn=LaunchConfiguration("respawn"),
                respawn_delay=2.0,
                additional_env=large_image_environment(),
                output="screen",
            ),
            Node(
                package="image_view",
                executable="image_view",
                name="overlay_view",
                namespace=LaunchConfiguration("namespace"),
                remappings=[("image", "segment_node/overlay")],
                condition=IfCondition(LaunchConfiguration("overlay")),
            ),
            Node(
                package="rviz2",
                executable="rviz2",
                name="rviz",
                namespace=LaunchConfiguration("namespace"),
                arguments=["-d", str(CONFIG / "segment.rviz")],
                parameters=[{"use_sim_time": ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool)}],
                # The names in the RViz file, brought to where this launch has them.
                remappings=[
                    ("/image", LaunchConfiguration("image")),
                    ("/overlay", "segment_node/overlay"),
                    ("/points", "segment_node/points"),
                ],
                condition=IfCondition(LaunchConfiguration("rviz")),
            ),
        ]
    )
