"""The ROS 2 side of saom_ros: the segmentation node, an image source, the demo, and what they share.

Only this package imports rclpy, and of it only the nodes themselves, `demo`, `compat` and `process`: the rest is plain
Python and can be tested without ROS.
"""
