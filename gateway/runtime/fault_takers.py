"""Which centers can be broken on purpose: those of this process, and not by every fault.

A center elsewhere does what it does; delay and loss need an emulated path. Asking for what cannot
be done is refused, since a fault that does nothing proves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.api import InvalidRequest
from gateway.api.control import FaultKind
from gateway.centers.emulated import EmulatedCenter
from gateway.centers.local import LocalCenter
from gateway.centers.port import CenterPort

OF_THE_PATH: tuple[FaultKind, ...] = ("delay", "loss")
NAMED_MAX = 5


def takers(
    ports: Sequence[CenterPort], rows: Sequence[int], kind: FaultKind, asked: str
) -> list[int]:
    """Those of ``rows`` that can take the fault. Raises InvalidRequest when none can.

    ``asked``: the center or region as it was named.
    """
    found = [row for row in rows if _takes(ports[row], kind)]
    if found:
        return found
    able = [
        port.center.id
        for port in ports
        if isinstance(port, EmulatedCenter | LocalCenter) and _takes(port, kind)
    ]
    if not able:
        where = "no center of this process takes it"
    else:
        more = f" and {len(able) - NAMED_MAX} more" if len(able) > NAMED_MAX else ""
        where = f"these take it: {', '.join(able[:NAMED_MAX])}{more}"
    if any(isinstance(ports[row], LocalCenter) for row in rows):
        why = "its path is not emulated here"
    else:
        why = "it lives in another process (its url); ask that process's own admin door"
    raise InvalidRequest(f"center: {asked!r} cannot take the fault {kind!r}: {why}; {where}")


def _takes(port: CenterPort, kind: FaultKind) -> bool:
    return isinstance(port, EmulatedCenter) or (
        isinstance(port, LocalCenter) and kind not in OF_THE_PATH
    )
