"""How many files and sockets this process may have open, and how many of them are for clients.

Every client connection takes a descriptor. A process that has none left can neither accept nor
reach a center nor open a model. So the limit is raised at start to what the system allows, some
are kept back, and near the rest the public door lets idle clients go.
"""

from __future__ import annotations

import contextlib

try:
    import resource
except ImportError:  # a system without limits of this kind
    resource = None  # type: ignore[assignment]  # a missing module has no other value

KEPT_BACK = 256
"""For centers, models, logs and the admin door; half of all where there are few."""
WANTED = 16_384
UNLIMITED = 1_000_000
"""Taken for a limit where there is none."""


def raise_limit() -> int:
    """Raise the soft limit to the hard one; returns what it is then."""
    if resource is None:
        return UNLIMITED
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        # A system may refuse infinity, or more than another limit of its own.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return limit()


def limit() -> int:
    """How many descriptors this process may have."""
    if resource is None:
        return UNLIMITED
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return UNLIMITED if soft == resource.RLIM_INFINITY else min(soft, UNLIMITED)


def for_clients(descriptors: int) -> int:
    """How many of them client connections may take."""
    return descriptors - min(KEPT_BACK, descriptors // 2)


def at_most(descriptors: int) -> int:
    """How many client connections there may be at a peak, until idle ones are closed."""
    return descriptors - min(KEPT_BACK, descriptors // 2) // 2


def shortage(descriptors: int) -> str:
    """What to tell the operator of a low limit; empty when it is none."""
    if descriptors >= WANTED:
        return ""
    return (
        f"this process may open {descriptors} files, so {for_clients(descriptors)} client "
        f"connections; {WANTED} are advised: raise the hard limit "
        "(ulimit -Hn, LimitNOFILE= of systemd, --ulimit nofile= of Docker)"
    )
