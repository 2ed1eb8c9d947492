"""``Server-Timing``: the four parts of a request's time, in milliseconds.

``gateway;dur=0.2131, network;dur=8.2000, queue;dur=0.0000, service;dur=0.3120``
(W3C Server Timing). Reading is forgiving: what is not understood is left out.
"""

from __future__ import annotations

import math
import re

HEADER_CHARS_MAX = 1024
PARTS = ("gateway", "network", "queue", "service")
FORM = ", ".join(f"{part};dur=%.4f" for part in PARTS)
"""The header's value, for who writes a whole head with one ``%``."""
_OURS = re.compile(
    r"gateway;dur=([0-9.]+), network;dur=([0-9.]+), queue;dur=([0-9.]+), service;dur=([0-9.]+)"
)
_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # noqa: S105  # RFC 9110's token, not a secret
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_METRIC = re.compile(rf'[^,"]*(?:{_QUOTED}[^,"]*)*')
_NAME = re.compile(rf"\s*({_TOKEN})\s*(?:;|$)")
_DURATION = re.compile(r'(?:^|;)\s*dur\s*=\s*"?([0-9]+(?:\.[0-9]*)?)"?\s*(?:;|$)', re.IGNORECASE)


def server_timing(gateway_ms: float, network_ms: float, queue_ms: float, service_ms: float) -> str:
    """The header's value, four decimals each."""
    return FORM % (gateway_ms, network_ms, queue_ms, service_ms)


def parse_server_timing(text: str) -> dict[str, float]:
    """Milliseconds by metric name; a metric without a finite ``dur`` >= 0 is left out.

    Of a repeated name the first one counts. At most ``HEADER_CHARS_MAX`` characters are read.
    """
    ours = _OURS.fullmatch(text)
    if ours is not None:  # our own centers: 1 us, the way below takes 10
        try:
            return dict(zip(PARTS, map(float, ours.groups()), strict=True))
        except ValueError:
            return {}
    parts: dict[str, float] = {}
    for metric in _METRIC.findall(text[:HEADER_CHARS_MAX]):
        name = _NAME.match(metric)
        duration = _DURATION.search(re.sub(_QUOTED, _unquoted, metric))
        if name is None or duration is None:
            continue
        value = float(duration.group(1))
        if math.isfinite(value):
            parts.setdefault(name.group(1), value)
    return parts


def _unquoted(match: re.Match[str]) -> str:
    """A quoted number stays, any other quoted string cannot pose as parameters."""
    inner = match.group()[1:-1]
    return inner if re.fullmatch(r"[0-9.]+", inner) else "_"
