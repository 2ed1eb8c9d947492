"""How long the way to a center and back takes, for servers that say nothing of themselves.

The gateway learns network, queue and service apart, and a server without a load report leaves
it one number: how long the attempt took. The kernel knows more. TCP times every connection
(``TCP_INFO``, tcp(7)); we take ``tcpi_min_rtt``, its least round trip of the last minutes. The
smoothed ``tcpi_rtt`` will not do: on a connection of requests and answers the acknowledgement
rides on the answer, so it holds the server's time as well. The handshake of every new
connection is timed without a server's work in it. So

    network = min_rtt,   service = attempt - min_rtt,   queue = 0

and what a path loses for a while counts as the service of that center, where it keeps
requests away just as well. Asking the kernel takes 3 us and a least value seldom moves; it is
asked at most every ``LOOK_EVERY_S``. Where there is no ``TCP_INFO`` the fastest connect or
probe stands in.
"""

from __future__ import annotations

import asyncio
import socket
import struct

LOOK_EVERY_S = 1.0
_MIN_RTT_US = struct.Struct("@I")
_MIN_RTT_AT = 148
_RTT_AT = 68
_INFO_BYTES = 192
_UNKNOWN = 0xFFFFFFFF
_TCP_INFO: int | None = getattr(socket, "TCP_INFO", None)


class PathTime:
    """``ms``: the round trip as last seen, 0 while nothing is known; look again at ``due_s``."""

    __slots__ = ("_kernel_tells", "due_s", "ms")

    def __init__(self) -> None:
        self.ms = 0.0
        self.due_s = float("-inf")
        self._kernel_tells = _TCP_INFO is not None

    def look(self, transport: asyncio.Transport, now: float) -> None:
        """Ask the kernel about the connection of ``transport``."""
        self.due_s = now + LOOK_EVERY_S
        if not self._kernel_tells or transport.is_closing():
            return
        rtt_us = _min_rtt_us(transport)
        if rtt_us is None:
            self._kernel_tells = False
        else:
            self.ms = rtt_us / 1e3

    def seen(self, took_ms: float) -> None:
        """A connect or a probe took so long: the least counts where the kernel says nothing."""
        if not self._kernel_tells or self.ms == 0.0:
            self.ms = min(self.ms or took_ms, took_ms)


def _min_rtt_us(transport: asyncio.Transport) -> int | None:
    """Microseconds; None when the kernel does not say."""
    connection = transport.get_extra_info("socket")
    if connection is None or _TCP_INFO is None:
        return None
    try:
        told = connection.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _INFO_BYTES)
    except OSError:
        return None
    if len(told) < _MIN_RTT_AT + 4:
        return None
    (least_us,) = _MIN_RTT_US.unpack_from(told, _MIN_RTT_AT)
    if least_us in (0, _UNKNOWN):
        (least_us,) = _MIN_RTT_US.unpack_from(told, _RTT_AT)
    return int(least_us)
