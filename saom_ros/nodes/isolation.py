"""ROS traffic that meets nobody else's: a domain of its own, on this machine only. For the demo and for tests."""

from __future__ import annotations

import random
import socket

from saom_ros.nodes import compat

FIRST_DOMAIN, LAST_DOMAIN = 1, 101
"""ROS_DOMAIN_ID values whose ports lie below Linux's ephemeral ones; 0 is everybody's default."""


def isolated_environment() -> dict[str, str]:
    """Environment variables for processes that shall find each other, on this machine, and nobody else."""
    return {"ROS_DOMAIN_ID": str(free_domain()), **compat.localhost_only()}


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
