#!/usr/bin/env bash
# Healthy while the node named in SAOM_NODE is active: the state that a lifecycle manager would see.
set -eo pipefail
cd "$(dirname "$0")"
./entrypoint.sh timeout 15 ros2 lifecycle get "${SAOM_NODE:-/segment_node}" | grep -q '^active'
