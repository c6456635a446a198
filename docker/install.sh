#!/usr/bin/env bash
# The steps of both Dockerfiles; what belongs to saom_ros itself is installed by the Makefile, as for `make demo`.
#
#   install.sh ros DISTRO            ROS 2 and build tools from its apt repository (images that come without)
#   install.sh packages              what the node needs from apt, ROS_DISTRO's own where it has them
#   install.sh build cpu|cuda|jetson the checkout in the working directory: virtual environment, then colcon
#   install.sh user UID GID          the user that runs the node, and its cache of engines
set -euo pipefail

ROOT=${SAOM_ROOT:-/opt/saom_ros}
VENV=$ROOT/venv
ROS_APT_SOURCE=1.1.0

install_apt() {
  apt-get update
  DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
  rm -rf /var/lib/apt/lists/*
}

ros() {
  install_apt ca-certificates curl
  # shellcheck source=/dev/null
  . /etc/os-release
  local package=ros2-apt-source_${ROS_APT_SOURCE}.${VERSION_CODENAME}_all.deb
  curl -fsSL --retry 3 -o /tmp/ros.deb \
    "https://github.com/ros-infrastructure/ros-apt-source/releases/download/$ROS_APT_SOURCE/$package"
  dpkg -i /tmp/ros.deb && rm /tmp/ros.deb
  install_apt "ros-$1-ros-base" python3-colcon-common-extensions
}

packages() {
  local distro
  distro=$(basename "$(dirname "$(ls /opt/ros/*/setup.sh)")")
  install_apt make python3-venv python3-numpy python3-opencv python3-scipy python3-yaml \
    "ros-$distro-vision-msgs" "ros-$distro-diagnostic-msgs" "ros-$distro-tf2-ros-py" "ros-$distro-tf2-geometry-msgs"
}

build() {
  make VENV="$VENV" "$VENV/robot"
  case $1 in
    cpu) ;;  # the robot's environment has OpenVINO on x86
    cuda)
      "$VENV/bin/pip" uninstall -y onnxruntime
      "$VENV/bin/pip" install --no-cache-dir "onnxruntime-gpu[cuda,cudnn]>=1.20" "numpy<2"
      ;;
    jetson) "$VENV/bin/pip" install --no-cache-dir "polygraphy>=0.49,<1" ;;
    *) echo "install.sh build: '$1' is none of cpu, cuda, jetson" >&2 && exit 2 ;;
  esac
  # setup.sh reads variables that may be unset. The environment's python builds, so that it also runs the node.
  # shellcheck source=/dev/null
  set +u && . /opt/ros/*/setup.sh && set -u
  cd "$ROOT" && "$VENV/bin/python" -m colcon build --packages-select saom_ros
}

user() {
  # Some base images bring a user with this id of their own; it does as well.
  getent group "$2" >/dev/null || groupadd --gid "$2" robot
  getent passwd "$1" >/dev/null || useradd --uid "$1" --gid "$2" --create-home robot
  install -d -o "$1" -g "$2" /var/cache/saom_ros
}

step=${1:?one of ros, packages, build, user}
shift
case $step in
  ros | packages | build | user) "$step" "$@" ;;
  *) echo "install.sh: '$step' is none of ros, packages, build, user" >&2 && exit 2 ;;
esac
