"""Environment variables by which processes tell DDS what they need; launch files, the demo and tests use them.

Room for large images, and for the demo and tests a domain of their own on this machine only.
"""

from __future__ import annotations

import os
import random
import socket
import sys
from pathlib import Path

from saom_ros.nodes import compat

FIRST_DOMAIN, LAST_DOMAIN = 1, 101
"""ROS_DOMAIN_ID values whose ports lie below Linux's ephemeral ones; 0 is everybody's default."""


def isolated_environment() -> dict[str, str]:
    """Environment variables for processes that shall find each other, on this machine, and nobody else."""
    return {"ROS_DOMAIN_ID": str(free_domain()), **compat.localhost_only()}


def large_image_environment() -> dict[str, str]:
    """Environment variables with which Fast DDS carries large images, for the processes that send them.

    Empty where the user has chosen a profile, and where the installation has none.
    """
    variables = compat.profile_variables()
    if any(os.environ.get(name) for name in variables):
        return {}
    relative = Path("config") / "fastdds_large_images.xml"
    prefixes = [sys.prefix, *filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep))]
    shares = [Path(__file__).resolve().parents[2], *(Path(prefix) / "share" / "saom_ros" for prefix in prefixes)]
    profile = next((share / relative for share in shares if (share / relative).is_file()), None)
    return {variables[0]: str(profile)} if profile else {}


def free_domain() -> int:
    """A random domain in which no ROS process on this machine seems to be.

    The first process of a DDS domain takes the port 7410 + 250 * domain (RTPS 2.2, 9.6.1.1); where it can be bound the
    domain is free. Two callers within the same moment can still draw the same one.
    """
    domains = list(range(FIRST_DOMAIN, LAST_DOMAIN + 1))
    random.SystemRandom().shuffle(domains)
    for domain in domains:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("0.0.0.0", 7410 + 250 * domain))
            except OSError:
                continue
        return domain
    return domains[0]
