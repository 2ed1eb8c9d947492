"""Load reports as ORCA writes them: the header ``endpoint-load-metrics`` in its three forms.

``TEXT a=1, named_metrics.b=2``, ``JSON {...}`` and ``BIN <base64>`` of the message
``xds.data.orca.v3.OrcaLoadReport`` (cncf/xds; Open Request Cost Aggregation). Triton and vLLM
answer with it when a request says ``endpoint-load-metrics-format: text`` or ``json``.

    application_utilization (else cpu_utilization) <-> utilization      eps <-> errors_per_s
    rps_fractional (else rps)                      <-> rate_per_s
    named_metrics.{work_ms in_flight slots queue_ms service_ms latency_ms} <-> the same fields

ORCA allows a utilization above 1; a ``Report`` does not, so it counts as 1. Metrics unknown
here are passed over. Reading is strict otherwise: what is not finite, negative, absurdly
large or said twice is refused, and the error names it.
"""

from __future__ import annotations

import binascii
import json
from base64 import b64decode
from collections.abc import Iterator
from math import isfinite
from struct import Struct

from gateway.api import InvalidRequest, Report

HEADER = "endpoint-load-metrics"
FORMAT_HEADER = "endpoint-load-metrics-format"
CHARS_MAX = 8192
METRICS_MAX = 128
VALUE_MAX = 1e9
NAMED = "named_metrics."
OURS = ("work_ms", "in_flight", "slots", "queue_ms", "service_ms", "latency_ms")
COUNTS = ("in_flight", "slots")

Metrics = dict[str, float]
_OURS_IN_ORDER = [
    "TEXT application_utilization",
    "rps_fractional",
    "eps",
    *(NAMED + name for name in OURS),
]
_UNDERSCORES = "".join(_OURS_IN_ORDER).count("_")


def parse(header_value: str) -> Report:
    """The report in a header's value. Raises InvalidRequest naming the metric."""
    if len(header_value) > CHARS_MAX:
        raise InvalidRequest(
            f"{HEADER} has {len(header_value)} characters, at most {CHARS_MAX} are read"
        )
    told = header_value.replace(", ", "=").split("=")
    if told[::2] == _OURS_IN_ORDER:  # from a center of our own: 3 us, the way below takes 20
        report = _quickly(header_value, told[1::2])
        if report is not None:
            return report
    form, _, rest = header_value.strip().partition(" ")
    if form == "TEXT":
        return _report(_from_text(rest))
    if form == "JSON":
        return _report(_from_json(rest))
    if form == "BIN":
        return _report(_from_binary(rest))
    raise InvalidRequest(f"{HEADER} begins with {form[:32]!r}, expected TEXT, JSON or BIN")


def _quickly(header_value: str, told: list[str]) -> Report | None:
    """The values in the order ``format_text`` writes them; None for one that is not plain."""
    if not header_value.isascii() or header_value.count("_") != _UNDERSCORES:
        return None
    if "=-" in header_value or "= " in header_value:
        return None
    try:
        used, rate, errors, work, in_flight, slots, queue, service, latency = map(float, told)
    except ValueError:
        return None
    total = used + rate + errors + work + in_flight + slots + queue + service + latency
    if not total <= VALUE_MAX or in_flight % 1.0 or slots % 1.0:  # not <=: it may be undefined
        return None
    if used > 1.0:
        used = 1.0
    return Report(queue, service, work, int(in_flight), int(slots), latency, rate, errors, used)


def format_text(report: Report) -> str:
    """The header's value as name=value pairs."""
    pairs = [f"{name}={value:.9g}" for name, value in _top(report).items()]
    pairs += [f"{NAMED}{name}={value:.9g}" for name, value in _named(report).items()]
    return "TEXT " + ", ".join(pairs)


def format_json(report: Report) -> str:
    """The header's value as one JSON object, fields named as in the message."""
    told = {**_top(report), "named_metrics": _named(report)}
    return "JSON " + json.dumps(told, separators=(",", ":"))


def format_as(form: str, report: Report) -> str | None:
    """As a request's ``endpoint-load-metrics-format`` wants it; None for any other word."""
    wanted = form.strip().lower()
    if wanted == "text":
        return format_text(report)
    return format_json(report) if wanted == "json" else None


# ---- report <-> metrics -------------------------------------------------------------------


def _top(report: Report) -> Metrics:
    return {
        "application_utilization": report.utilization,
        "rps_fractional": report.rate_per_s,
        "eps": report.errors_per_s,
    }


def _named(report: Report) -> Metrics:
    return {name: getattr(report, name) for name in OURS}


def _report(metrics: Metrics) -> Report:
    found = {name: value for name in OURS if (value := metrics.get(NAMED + name)) is not None}
    for name in COUNTS:
        if found.get(name, 0.0) % 1.0:
            raise InvalidRequest(f"{HEADER}: {NAMED}{name} is {found[name]:g}, expected a count")
    utilization = metrics.get("application_utilization") or metrics.get("cpu_utilization", 0.0)
    return Report(
        found.get("queue_ms", 0.0),
        found.get("service_ms", 0.0),
        found.get("work_ms", 0.0),
        int(found.get("in_flight", 0.0)),
        int(found.get("slots", 0.0)),
        found.get("latency_ms", 0.0),
        metrics.get("rps_fractional") or metrics.get("rps", 0.0),
        metrics.get("eps", 0.0),
        min(utilization, 1.0),
    )


KNOWN = frozenset(
    ("application_utilization", "cpu_utilization", "rps_fractional", "rps", "eps")
) | {NAMED + name for name in OURS}


def _add(metrics: Metrics, name: str, value: object) -> None:
    """Take one metric in, if it is one of ours."""
    if name not in KNOWN:
        return
    if name in metrics:
        raise InvalidRequest(f"{HEADER}: {name} is said twice")
    number = _number(value)
    if number is None or number < 0.0:
        raise InvalidRequest(f"{HEADER}: {name} is {_shown(value)}, expected a number of 0 or more")
    if number > VALUE_MAX:
        raise InvalidRequest(f"{HEADER}: {name} is {number:g}, expected at most {VALUE_MAX:g}")
    metrics[name] = number


def _number(value: object) -> float | None:
    """A finite number, or one in ASCII digits (a uint64 is a string in proto3's JSON)."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str) and ("_" in value or not value.isascii()):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if isfinite(number) else None


def _shown(value: object) -> str:
    return repr(value)[:48]


def _few(count: int) -> None:
    if count > METRICS_MAX:
        raise InvalidRequest(f"{HEADER} has {count} metrics, at most {METRICS_MAX} are read")


# ---- the three forms ----------------------------------------------------------------------


def _from_text(text: str) -> Metrics:
    """``name=value`` with commas between; older Envoys write a colon."""
    metrics: Metrics = {}
    pairs = [pair.strip() for pair in text.split(",") if pair.strip()]
    _few(len(pairs))
    for pair in pairs:
        separator = "=" if "=" in pair else ":"
        name, found, value = pair.partition(separator)
        if not found or not name.strip():
            raise InvalidRequest(f"{HEADER}: {_shown(pair)} is not name=value")
        _add(metrics, name.strip(), value.strip())
    return metrics


_CAMEL = {
    "applicationUtilization": "application_utilization",
    "cpuUtilization": "cpu_utilization",
    "rpsFractional": "rps_fractional",
    "namedMetrics": "named_metrics",
}


def _from_json(text: str) -> Metrics:
    """The message in proto3's JSON, fields in either spelling."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"{HEADER}: the JSON cannot be read: {error}") from None
    if not isinstance(told, dict):
        raise InvalidRequest(f"{HEADER}: the JSON is {_shown(told)}, expected an object")
    metrics: Metrics = {}
    _few(len(told))
    for key, value in told.items():
        name = str(_CAMEL.get(key, key))
        if name != "named_metrics":
            _add(metrics, name, value)
            continue
        if not isinstance(value, dict):
            raise InvalidRequest(f"{HEADER}: {key} is {_shown(value)}, expected an object")
        _few(len(value))
        for short, number in value.items():
            _add(metrics, NAMED + short, number)
    return metrics


_FIELDS = {
    1: "cpu_utilization",
    3: "rps",
    6: "rps_fractional",
    7: "eps",
    9: "application_utilization",
}
_NAMED_METRICS = 8
_DOUBLE = Struct("<d")
_BROKEN = "the protobuf message breaks off or is none"


def _from_binary(text: str) -> Metrics:
    """The message in base64, padded or not; of a field said twice the last counts."""
    text = text.strip()
    try:
        message = b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest(f"{HEADER}: the base64 cannot be read") from None
    told: dict[str, object] = {}
    for number, value in _fields(message):
        if number in _FIELDS and not isinstance(value, bytes):
            told[_FIELDS[number]] = value
        elif number == _NAMED_METRICS and isinstance(value, bytes):
            entry = dict(_fields(value))
            key = entry.get(1, b"")
            name = key.decode("utf-8", "replace") if isinstance(key, bytes) else ""
            told[NAMED + name] = entry.get(2, 0.0)
    _few(len(told))
    metrics: Metrics = {}
    for name, number_told in told.items():
        _add(metrics, name, number_told)
    return metrics


def _fields(message: bytes) -> Iterator[tuple[int, int | float | bytes]]:
    """(field number, value) of a protobuf message: varints, doubles and byte strings."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == 0:
            value: int | float | bytes
            value, at = _varint(message, at)
        elif kind == 1:
            if at + 8 > len(message):
                raise InvalidRequest(f"{HEADER}: {_BROKEN}")
            value = float(_DOUBLE.unpack_from(message, at)[0])
            at += 8
        elif kind in (2, 5):
            length, at = _varint(message, at) if kind == 2 else (4, at)
            if at + length > len(message):
                raise InvalidRequest(f"{HEADER}: {_BROKEN}")
            value = message[at : at + length]
            at += length
        else:
            raise InvalidRequest(f"{HEADER}: {_BROKEN}")
        yield key >> 3, value


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message) and shift < 64:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise InvalidRequest(f"{HEADER}: {_BROKEN}")
