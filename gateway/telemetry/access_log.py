"""The access log: a line of JSON a request, appended off the request's path.

Theory of operation. ``ended`` decides whether a request is written and keeps its record, nothing
more; ``take`` hands on all since the last call, and ``lines`` makes text of them, which may run
in a thread. Answers are sampled, with ``share``; a request that was refused or failed is always
written. Beyond ``KEPT_MAX`` records are dropped and counted.

A line never holds a body, a header's value or a key: it holds names the config knows, the
request's id, its tenant's name and figures (``docs/logs.md``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any, Final

import msgspec

from gateway.telemetry.request_record import AttemptRecord, RequestRecord

KEPT_MAX: Final = 16_384
MS_DIGITS: Final = 3
NAME_CHARS_MAX: Final = 256
"""A model's name is what the client wrote in the path: as long as it likes."""

_ENCODER = msgspec.json.Encoder()


@dataclass(slots=True)
class TurnedAway:
    """A request that was refused before it was routed. ``instants`` as in ``RequestRecord``."""

    request_id: str
    model: str
    status: int
    reason: str
    ended_s: float


Line = RequestRecord | TurnedAway


class AccessLog:
    """``dropped``: requests that were not written for want of room."""

    __slots__ = ("_kept", "_random", "_share", "dropped")

    def __init__(self, random: Random, *, share: float) -> None:
        self._random = random
        self._share = share
        self._kept: list[Line] = []
        self.dropped = 0

    def ended(self, record: RequestRecord) -> None:
        """A request is over."""
        if record.status < 400 and self._random.random() >= self._share:
            return
        self._keep(record)

    def turned_away(self, told: TurnedAway) -> None:
        """A request was refused before it was routed."""
        self._keep(told)

    def take(self) -> list[Line]:
        """All that ended since the last call."""
        kept, self._kept = self._kept, []
        return kept

    def _keep(self, line: Line) -> None:
        if len(self._kept) < KEPT_MAX:
            self._kept.append(line)
        else:
            self.dropped += 1


@dataclass(frozen=True, slots=True)
class LineMaker:
    """``centers`` and ``origins``: names by row."""

    centers: Sequence[str]
    origins: Sequence[str]

    def lines(self, records: Sequence[Line], epoch_s: float) -> bytes:
        """A line each, oldest first. ``epoch_s``: what makes the records' clock the wall's."""
        return b"".join(_ENCODER.encode(self._told(each, epoch_s)) + b"\n" for each in records)

    def _told(self, record: Line, epoch_s: float) -> dict[str, Any]:
        told: dict[str, Any] = {
            "time": _rfc3339(record.ended_s + epoch_s),
            "request_id": record.request_id,
            "model": record.model[:NAME_CHARS_MAX],
            "status": record.status,
        }
        if record.reason:
            told["reason"] = record.reason
        if isinstance(record, RequestRecord):
            self._tell_way(record, told)
        return told

    def _tell_way(self, record: RequestRecord, told: dict[str, Any]) -> None:
        """How it went through the gateway."""
        if record.version:
            told["version"] = record.version[:NAME_CHARS_MAX]
        if record.route:
            told["route"] = record.route
        if record.served and record.served != record.model:
            told["degraded_to"] = record.served
        told["origin"] = self.origins[record.vantage]
        told["tenant"] = record.tenant
        told["body_bytes"] = record.body_bytes
        told["total_ms"] = _ms((record.ended_s - record.arrived_s) * 1e3)
        if record.center >= 0:
            told["center"] = self.centers[record.center]
        if record.parts_ms is not None:
            gateway_ms, network_ms, queue_ms, service_ms = record.parts_ms
            told["gateway_ms"], told["network_ms"] = _ms(gateway_ms), _ms(network_ms)
            told["queue_ms"], told["service_ms"] = _ms(queue_ms), _ms(service_ms)
        told["attempts"] = [self._attempt(attempt) for attempt in record.attempts]
        if record.trace is not None:
            told["trace_id"] = f"{record.trace.trace_id:032x}"

    def _attempt(self, attempt: AttemptRecord) -> dict[str, Any]:
        told: dict[str, Any] = {
            "center": self.centers[attempt.decision.center],
            "predicted_ms": _ms(attempt.decision.predicted_ms),
            "attempt_ms": _ms(attempt.attempt_ms),
            "ending": attempt.ending,
        }
        if attempt.reason:
            told["reason"] = attempt.reason
        if attempt.hedge:
            told["hedge"] = True
        return told


def _ms(value_ms: float) -> float:
    return round(float(value_ms), MS_DIGITS)


def _rfc3339(epoch_s: float) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).isoformat(timespec="milliseconds")
