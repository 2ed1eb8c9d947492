"""What a strict server refuses in a head that the parser (llhttp) lets through.

llhttp refuses conflicting, repeated and malformed Content-Length, Content-Length beside
Transfer-Encoding, folded lines, bare CR or LF, control characters and spaces in names. It lets
through other versions than 1.0 and 1.1, any transfer coding that ends in ``chunked``, ``chunked``
in HTTP/1.0 (a proxy before us that knows no chunks would see another request in the body),
whatever is said of the host, and CONNECT, whose body is nowhere defined. What is refused here
is answered 400, and the connection ends.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

FIELDS_MAX = 128
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]*)(?::[0-9]*)?")


def head_fault(
    method: str, version: tuple[int, int], hosts: Sequence[str], codings: Sequence[str]
) -> str | None:
    """What is wrong, None when nothing is.

    ``hosts`` and ``codings``: the values of Host and of Transfer-Encoding, in order.
    """
    if method == "CONNECT":
        return "CONNECT asks for a tunnel, and this is no proxy"
    if version not in ((1, 1), (1, 0)):
        return f"the version is HTTP/{version[0]}.{version[1]}; 1.1 and 1.0 are spoken here"
    if codings:
        if version == (1, 0):
            return "Transfer-Encoding is not known in HTTP/1.0; send Content-Length"
        if len(codings) != 1 or codings[0].lower() != "chunked":
            return f"Transfer-Encoding is {', '.join(codings)!r}; only chunked is read here"
    if len(hosts) > 1:
        return f"Host is said {len(hosts)} times; say it once"
    if not hosts:
        return "Host is missing; HTTP/1.1 needs it" if version == (1, 1) else None
    return None if _HOST.fullmatch(hosts[0]) else f"Host is {hosts[0]!r}, which is no host"


def length_fault(head_bytes: int, head_bytes_max: int) -> str | None:
    """What is wrong with a head of ``head_bytes``, None when nothing is."""
    if head_bytes <= head_bytes_max:
        return None
    return (
        f"the head has {head_bytes} bytes or more, at most {head_bytes_max} are read; "
        "send fewer fields or raise server.head_bytes_max"
    )
