"""How a center is reached: start an attempt, hear events, cancel. Plain callbacks.

Theory of operation. ``start(attempt, on_event)`` returns the ``Call``. The center then calls
``on_event`` with, in this order: ``Sent`` once the request is on its way (one that sends it in
``start`` may leave it out); then either ``Whole``, the answer in one piece, as the last; or
``Head`` once the answer's status is known, one ``Chunk`` or more, and exactly one of
``Answered`` or ``Failed`` as the last. After ``cancel()`` no event follows; ``pause()`` asks for
no more chunks until ``resume()``. ``start`` itself never calls ``on_event`` and never raises.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from msgspec import Struct

from gateway.api.errors import NearwayError
from gateway.api.outcome import Report
from gateway.api.tensors import ModelMetadata


@dataclass(slots=True)
class Attempt:
    """One try of one request at one center. The body passes through unread.

    ``head_bytes``: length of the JSON head when binary tensors follow it, else None.
    ``deadline_s`` is an instant of this process's monotonic clock. ``route``: empty for inference
    as the Open Inference Protocol has it; else one of OpenAI's, as it stands behind ``/v1/``.
    ``traceparent``: the span it is part of, as ``gateway.wire.traceparent`` writes it, or empty.
    """

    request_id: str
    vantage: int
    model: str
    version: str
    body: bytes
    head_bytes: int | None
    deadline_s: float
    route: str = ""
    traceparent: str = ""


# Events are made for every request, so they are not frozen (see ``gateway.api.outcome``); the one
# that ends nearly all of them is a Struct, which is made in a quarter of a dataclass's 0.4 us.


@dataclass(slots=True)
class Sent:
    """The request is on its way."""


class Whole(Struct):
    """The whole answer at once: ``Head``, one ``Chunk`` and ``Answered`` in one event."""

    status: int
    content_type: str
    head_bytes: int | None
    payload: bytes
    report: Report
    drawn_ms: float | None


class Relay:
    """The short way of a stream whose center and client both speak chunks of HTTP/1.1.

    While whoever answers has set ``sink``, the center may call it in place of ``Chunk``, with a
    read that is whole chunks as they came. It returns whether it took them; what it does not take
    comes as ``Chunk``. ``reads``: how many it took, the last at ``heard_s``. ``sampled``: events
    in those of them that were looked at.
    """

    __slots__ = ("heard_s", "reads", "sampled", "sink")

    def __init__(self) -> None:
        self.sink: Callable[[bytes], bool] | None = None
        self.heard_s = 0.0
        self.reads = 0
        self.sampled = 0


@dataclass(slots=True)
class Head:
    """The answer begins; ``head_bytes`` as in ``Attempt``. ``relay``: None without a short way."""

    status: int
    content_type: str
    head_bytes: int | None
    relay: Relay | None = None


@dataclass(slots=True)
class Chunk:
    """A part of the answer's body."""

    payload: bytes


@dataclass(slots=True)
class Answered:
    """The answer is whole. ``drawn_ms``: the emulated network delay drawn, None when real."""

    report: Report
    drawn_ms: float | None


@dataclass(slots=True)
class Failed:
    """No answer. ``report`` when the center lived to give one; ``drawn_ms`` as above."""

    error: NearwayError
    report: Report | None = None
    drawn_ms: float | None = None


Event = Sent | Whole | Head | Chunk | Answered | Failed
OnEvent = Callable[[Event], None]
OnReport = Callable[[Report | None], None]


@dataclass(frozen=True, slots=True)
class ModelState:
    """A line of the repository index: READY, UNAVAILABLE or LOADING, and why.

    ``speaks``: it reads text, so OpenAI's routes can be asked for it.
    """

    name: str
    version: str
    state: str
    reason: str = ""
    speaks: bool = False


class Call(Protocol):
    """An attempt under way at a center. Every method is harmless once it is over."""

    def cancel(self) -> None:
        """The answer is not wanted any more; no event follows."""

    def pause(self) -> None:
        """Send no more chunks for now: whoever reads them is slow."""

    def resume(self) -> None:
        """Go on."""


class CenterPort(Protocol):
    """One center, whatever stands behind it."""

    def start(self, attempt: Attempt, on_event: OnEvent) -> Call:
        """Begin an attempt; see the module's theory of operation."""

    def probe(self, vantage: int, on_result: OnReport) -> None:
        """Ask for a report, along the path from ``vantage``; ``queue_ms``, ``service_ms`` are 0.

        Exercises the path and the center. ``on_result`` is called at most once and never from
        within: with None when the center refuses or fails, and not at all when nothing comes
        back. The caller keeps the time.
        """

    async def index(self) -> tuple[ModelState, ...]:
        """Every model this center declares, and its state."""

    async def metadata(self, model: str, version: str) -> ModelMetadata:
        """Raises NotFound."""

    async def ready(self, model: str, version: str) -> bool:
        """True when the model (version) can answer; raises NotFound."""

    async def config(self, model: str, version: str) -> dict[str, Any]:
        """Triton-style model configuration as JSON-ready dict; raises NotFound."""

    async def statistics(self, model: str, version: str) -> list[dict[str, Any]]:
        """Triton's ``model_stats`` entries; empty model: all. Raises NotFound."""

    async def load(self, model: str) -> None:
        """Load or reload; raises NotFound, or ConfigError when the file is wrong."""

    async def unload(self, model: str) -> None:
        """Unload; raises NotFound."""
