# make demo   set up the robot side and ROS 2, run the node on images, print what it did     (no torch, about a minute)
# make test   set everything up and run every test                                          (training side too)
# make lint   ruff, mypy, hadolint, shellcheck;  make test-robot  tests/robot alone, without torch;  make test-kilted  the node on ROS 2 Kilted
# make coverage              the tests, and which lines they run
# make bench [QUICK=1]        measure speed and memory, also into bench.json                (quick: under 3 minutes)
# make soak DURATION=1800     load and faults of the node for so many seconds, and a table of what held

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test coverage test-robot test-node test-kilted soak bench lint clean

comma := ,
empty :=
VENV := .venv
KILTED_VENV := .venv-kilted
RUN := $(VENV)/bin/python
ROS_SETUP := $(firstword $(wildcard /opt/ros/*/setup.sh))

# OpenVINO computes in 8 bits on x86 only.
FAST := $(if $(filter x86_64,$(shell uname -m)),openvino)
extras = $(subst $(empty) $(empty),$(comma),$(strip $(1)))

# Nothing of a sourced ROS workspace or another environment may leak in; an apt ROS is sourced again below, alone.
CLEAN := env -u PYTHONPATH -u PYTHONHOME -u LD_LIBRARY_PATH -u AMENT_PREFIX_PATH -u COLCON_PREFIX_PATH -u RMW_IMPLEMENTATION \
         -u _ROS_WHEELS_BOOTSTRAP_COMPLETE

ifneq ($(ROS_SETUP),)
  # ROS 2 from apt: its Python packages are compiled for the system's python3 and NumPy 1.
  PYTHON ?= /usr/bin/python3
  VENV_FLAGS := --system-site-packages
  ROS :=
  PIP_LIMITS := "numpy<2"
  IN_ROS := source $(ROS_SETUP) &&
else
  PYTHON ?= $(firstword $(foreach v,3.11 3.12 3.13 3.10,$(shell command -v python$(v) 2>/dev/null)) python3)
  VENV_FLAGS :=
  ROS := ros
  PIP_LIMITS :=
  IN_ROS :=
endif

PIP := $(RUN) -m pip install --quiet --disable-pip-version-check
MANIFEST := setup.py setup.cfg pyproject.toml

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | head -6

$(VENV)/made:
	@$(CLEAN) $(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 10) <= v <= (3, 13) else f"python3 is {v[0]}.{v[1]}; saom_ros needs 3.10 to 3.13: make PYTHON=python3.11 ...")'
	@if [ -z "$(ROS_SETUP)" ] && [ "$$(uname -m)" != x86_64 ]; then \
	  echo "no ROS 2 here: on $$(uname -m) install it from apt (https://docs.ros.org), e.g. apt install ros-jazzy-ros-base"; exit 1; fi
	@echo "making $(VENV) with $(PYTHON)"
	@$(CLEAN) $(PYTHON) -m venv $(VENV_FLAGS) $(VENV) || { echo "no venv module: apt install python3-venv"; exit 1; }
	@touch $@

$(VENV)/robot: $(VENV)/made $(MANIFEST)
	@echo "installing the robot side and ROS 2 (about half a minute)"
	@$(CLEAN) $(PIP) -e ".[$(call extras,$(FAST) $(ROS))]" $(PIP_LIMITS)
	@touch $@

$(VENV)/robot-dev: $(VENV)/made $(MANIFEST)
	@echo "installing the robot side, ROS 2 and test tools"
	@$(CLEAN) $(PIP) -e ".[$(call extras,bag dev $(FAST) $(ROS))]" $(PIP_LIMITS)
	@touch $@

$(VENV)/all: $(VENV)/made $(MANIFEST)
	@echo "installing everything (torch brings about 5 GB; 3 to 5 minutes)"
	@$(CLEAN) $(PIP) -e ".[$(call extras,bag openvino train ray ai2thor dev $(ROS))]" $(PIP_LIMITS)
	@$(CLEAN) $(PIP) --no-deps ai2thor==5.0.0
	@touch $@ $(VENV)/robot $(VENV)/robot-dev

INPUT ?=
SECONDS_TO_RUN ?= 15
RATE ?= 0
demo: $(VENV)/robot
	@$(CLEAN) bash -c '$(IN_ROS) exec $(RUN) -m saom_ros.nodes.demo --seconds $(SECONDS_TO_RUN) --rate $(RATE) $(if $(INPUT),--input "$(INPUT)")'

test: $(VENV)/all egl
	@$(CLEAN) bash -c '$(IN_ROS) exec $(RUN) -m pytest'

# A third longer.
coverage: $(VENV)/all egl
	@$(CLEAN) bash -c '$(IN_ROS) exec $(RUN) -m pytest --cov --cov-report=term'

test-robot: $(VENV)/robot-dev
	@$(CLEAN) bash -c '$(IN_ROS) exec $(RUN) -m pytest tests/robot'

# Of tests/robot, the files that need rclpy.
test-node: $(VENV)/robot-dev
	@$(CLEAN) bash -c '$(IN_ROS) exec $(RUN) -m pytest $$(grep -lE "importorskip.\"rclpy|\(peer, " tests/robot/test_*.py)'

test-kilted:
ifeq ($(ROS_SETUP),)
	@$(MAKE) --no-print-directory test-node VENV=$(KILTED_VENV) ROS=ros-kilted
else
	@echo "test-kilted: skipped, the tests run on the ROS 2 of $(ROS_SETUP) here, and not on wheels of another one"
endif

DURATION ?= 1800
FUZZ ?= 10000
SPEED ?= require
soak: $(VENV)/robot-dev
	@$(CLEAN) bash -c '$(IN_ROS) exec $(RUN) tests/robot/soak.py --duration $(DURATION) --fuzz $(FUZZ) --speed $(SPEED)'

QUICK ?=
bench: $(VENV)/all egl
	@$(CLEAN) $(RUN) -m training benchmark $(if $(QUICK),--quick) --json bench.json

lint: $(VENV)/all
	@$(CLEAN) $(VENV)/bin/ruff format --check .
	@$(CLEAN) $(VENV)/bin/ruff check .
	@$(CLEAN) $(VENV)/bin/mypy
	@$(VENV)/bin/hadolint docker/Dockerfile docker/Dockerfile.jetson
	@$(VENV)/bin/shellcheck docker/*.sh .ci/run

.PHONY: egl
egl: $(VENV)/made
	@$(CLEAN) $(RUN) -c 'import ctypes; [ctypes.CDLL(name) for name in ("libEGL.so.1", "libGL.so.1")]' 2>/dev/null || { \
	  echo "the simulator renders through EGL, which is missing: sudo apt install libegl1 libgl1 libgl1-mesa-dri"; exit 1; }

clean:
	rm -rf $(VENV) $(KILTED_VENV) build install log *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage*
