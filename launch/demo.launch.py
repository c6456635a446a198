"""Play the shipped sample, or any source, into segment_node; overlay:=true or rviz:=true shows the result."""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from saom_ros.nodes.dds import large_image_environment

HERE = Path(__file__).parent


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "source", default_value="sample", description="sample, a folder, image or video, or camera:N"
            ),
            DeclareLaunchArgument("rate", default_value="0.0", description="Images per second; 0: the source's own"),
            IncludeLaunchDescription(PythonLaunchDescriptionSource(str(HERE / "segment.launch.py"))),
            Node(
                package="saom_ros",
                executable="image_source_node",
                namespace=LaunchConfiguration("namespace"),
                parameters=[
                    {
                        "source": ParameterValue(LaunchConfiguration("source"), value_type=str),
                        "rate": ParameterValue(LaunchConfiguration("rate"), value_type=float),
                    }
                ],
                remappings=[("image", LaunchConfiguration("image"))],
                additional_env=large_image_environment(),
                output="screen",
            ),
        ]
    )
