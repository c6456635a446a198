"""Start one segment_node, and with it one model, for several cameras.

`ros2 launch saom_ros multi_camera.launch.py cameras:=front,wrist` reads /front/front/color/image_raw and
/wrist/wrist/color/image_raw and writes segment_node/front/instance_mask and segment_node/wrist/instance_mask.
This is segment.launch.py with other defaults: the topics of RealSense cameras, whose namespace is their name.
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

HERE = Path(__file__).parent


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            DeclareLaunchArgument("cameras", default_value="camera1,camera2", description="Names, separated by commas"),
            DeclareLaunchArgument(
                "image",
                default_value="/CAMERA/CAMERA/color/image_raw",
                description="Topic of images; CAMERA: each name",
            ),
            DeclareLaunchArgument(
                "depth",
                default_value="/CAMERA/CAMERA/aligned_depth_to_color/image_raw",
                description="Topic of depth registered to the images, for ~/CAMERA/points",
            ),
            DeclareLaunchArgument(
                "camera_info",
                default_value="/CAMERA/CAMERA/color/camera_info",
                description="Topic of the images' camera_info",
            ),
            IncludeLaunchDescription(PythonLaunchDescriptionSource(str(HERE / "segment.launch.py"))),
        ]
    )
