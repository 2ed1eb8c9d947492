"""The head of an inference answer, the same in every lane: which fields, with what in them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.centers.port import Head
from gateway.serving.arrival import Arrival, Parts
from gateway.serving.boundary import SERVER
from gateway.serving.decisions import decision_json
from gateway.serving.exchange import Exchange
from gateway.serving.intake import Headers
from gateway.wire import orca, server_timing

if TYPE_CHECKING:
    from gateway.serving.front import Front


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request's head asks of the answer.

    ``load``: the form in which the center's load is wanted. ``explained``: the decision is
    wanted, and the peer may see it.
    """

    load: str | None
    explained: bool
    accept_encoding: str | None


def asked(headers: Headers, *, trusted: bool) -> Asked:
    """Read from the request's head; only a trusted peer is explained anything."""
    return Asked(
        headers.get(orca.FORMAT_HEADER),
        trusted and headers.get("x-nearway-explain") == "1",
        headers.get("Accept-Encoding"),
    )


class AnswerHead:
    """Makes the fields of answers' heads. ``centers``: the ids, by row.

    ``starts`` is the hot lane's: how heads begin, by center, content type and status.
    """

    __slots__ = ("_front", "centers", "starts")

    def __init__(self, front: Front) -> None:
        self._front = front
        self.centers = front.center_ids
        self.starts: dict[tuple[int, str, int], str] = {}

    def fields(
        self,
        head: Head,
        center: int,
        parts: Parts | None,
        arrival: Arrival,
        exchange: Exchange,
        wanted: Asked,
    ) -> dict[str, str]:
        """All but what frames the body; without ``parts`` the answer is a stream."""
        fields = {
            "Content-Type": head.content_type,
            "x-request-id": arrival.request_id,
            "x-nearway-center": self.centers[center],
            "Server": SERVER,
        }
        if arrival.model != arrival.query.model:
            fields["x-nearway-degraded-to"] = arrival.model
        if parts is not None:
            fields["Server-Timing"] = server_timing(
                parts.gateway_ms, parts.network_ms, parts.queue_ms, parts.service_ms
            )
            if parts.service_ms == 0.0:  # nothing was run for it
                fields["x-nearway-cache"] = "hit"
        if head.head_bytes is not None:
            fields["Inference-Header-Content-Length"] = str(head.head_bytes)
        if wanted.load is not None and exchange.report is not None:
            load = orca.format_as(wanted.load, exchange.report)
            if load is not None:
                fields[orca.HEADER] = load
        if self._front.tells_drawn and exchange.drawn_ms is not None:
            fields["x-nearway-drawn-ms"] = f"{exchange.drawn_ms:.4f}"
        if wanted.explained and exchange.decision is not None:
            front = self._front
            table = front.router.explain(arrival.query, front.clock())
            told = decision_json(exchange.decision, tuple(table.scorers_ms), self.centers)
            fields["x-nearway-explanation"] = json.dumps(told, separators=(",", ":"))
        return fields
