"""Closing the sockets a gRPC server listens on while its connections go on.

grpcio cannot: it stops listening and tells its clients to go in one step. They connect again at
once, some of them to the socket that is about to close, are reset, and then wait for a second. So
where others listen on the same port, the sockets are closed first. They are grpcio's own, so each
is found by its port and its descriptor given to a socket that is nobody's: that closes the one and
leaves grpcio a descriptor to close.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Final

DESCRIPTORS: Final = Path("/proc/self/fd")


def close_listeners(port: int) -> int:
    """Close every socket of this process that listens on a TCP port; returns how many. None is
    found where the system has no ``/proc``.
    """
    if not DESCRIPTORS.is_dir():
        return 0
    found = [number for number in _numbers() if _listens(number, port)]
    for number in found:
        with socket.socket() as nobody:
            os.dup2(nobody.fileno(), number, inheritable=False)
    return len(found)


def _numbers() -> list[int]:
    return [int(name) for name in os.listdir(DESCRIPTORS)]


def _listens(number: int, port: int) -> bool:
    try:
        with socket.socket(fileno=os.dup(number)) as seen:
            listening = seen.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            inet = seen.family in (socket.AF_INET, socket.AF_INET6)
            return bool(listening) and inet and seen.getsockname()[1] == port
    except OSError:  # no socket, or closed meanwhile
        return False
