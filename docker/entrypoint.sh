#!/usr/bin/env bash
# Run a command with ROS 2 and, where it is there, saom_ros's workspace.
set -eo pipefail
for setup in /opt/ros/*/setup.bash /opt/saom_ros/install/setup.bash; do
  # shellcheck source=/dev/null
  if [ -e "$setup" ]; then . "$setup"; fi
done
exec "$@"
