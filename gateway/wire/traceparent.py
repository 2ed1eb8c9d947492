"""The ``traceparent`` field of W3C Trace Context: which trace a request belongs to.

https://www.w3.org/TR/trace-context/: version, trace id, parent's span id, flags, in hexadecimal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

HEADER: Final = "traceparent"
SAMPLED: Final = 1

_FIELD = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[!-~]*)?")
_INVALID_VERSION: Final = "ff"


@dataclass(frozen=True, slots=True)
class TraceParent:
    """A span of a trace: ids are integers of 128 and 64 bits, never 0."""

    trace_id: int
    span_id: int
    sampled: bool

    def __str__(self) -> str:
        """As the field is written, in version 00."""
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{self.sampled:02x}"


def parse_traceparent(given: str) -> TraceParent | None:
    """None for what is no ``traceparent``: whoever reads it begins a trace of its own.

    Of a version that is not known the first four fields count, as the specification asks.
    """
    field = _FIELD.fullmatch(given)
    if field is None:
        return None
    version, trace_id, span_id, flags, more = field.groups()
    if version == _INVALID_VERSION or (version == "00" and more is not None):
        return None
    parent = TraceParent(int(trace_id, 16), int(span_id, 16), bool(int(flags, 16) & SAMPLED))
    return parent if parent.trace_id and parent.span_id else None
