"""saom_ros: everything in view, segmented into whole objects, on a robot.

`Segmenter.load()` opens a model bundle, and the segmenter turns an RGB image into `Instances`. This half of the
project imports neither torch nor `training`; the ROS 2 node lives in `saom_ros.nodes`.
"""

from saom_ros.errors import BundleError, ImageError, SaomError
from saom_ros.instances import Instances
from saom_ros.segmenter import Segmenter

__version__ = "0.1.0"

__all__ = ["BundleError", "ImageError", "Instances", "SaomError", "Segmenter", "__version__"]
