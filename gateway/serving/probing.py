"""Probes: short questions to a center about its load, and whether it lives.

Two ask for them. The policy does after a commit (``Router.probes``), and its answers are
reports for everybody; the fleet does when an ejected center is due, and wants to know besides
whether there was an answer at all. Both are sent the same way and bounded together: at most
``PROBES_MAX`` are out, ``PROBES_PER_CENTER_MAX`` of them at one center, so that a center that
swallows probes does not use up the places of the others. What is over the bound is dropped and
counted. A probe without an answer for ``PROBE_TIMEOUT_S`` is silent; what comes later is not
heard.

A probe leaves from where the last request came from: that path is the one of interest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.api import Report
from gateway.centers.port import CenterPort
from gateway.serving.arrival import Deciding, Timer
from gateway.telemetry import Metrics

PROBES_MAX = 64
PROBES_PER_CENTER_MAX = 8
PROBE_TIMEOUT_S = 1.0

OnProbed = Callable[[int, bool], None]
"""(center, alive): how a health probe ended."""


class Prober:
    """Sends probes through the ports; every report goes to ``router.reported``."""

    __slots__ = (
        "_call_at",
        "_clock",
        "_metrics",
        "_out",
        "_out_at",
        "_ports",
        "_router",
        "_vantage",
    )

    def __init__(
        self,
        router: Deciding,
        ports: Sequence[CenterPort],
        metrics: Metrics,
        clock: Callable[[], float],
        call_at: Callable[[float, Callable[[], None]], Timer],
        vantage: int,
    ) -> None:
        self._router = router
        self._ports = ports
        self._metrics = metrics
        self._clock = clock
        self._call_at = call_at
        self._vantage = vantage
        self._out = 0
        self._out_at = [0] * len(ports)

    def ask(self, vantage: int, now: float) -> None:
        """After a commit: send the probes the policy wants."""
        self._vantage = vantage
        for center in self._router.probes(now):
            self._send(center, None)

    def ask_health(self, center: int, on_probed: OnProbed) -> None:
        """Is ``center`` alive? ``on_probed`` is called once, or never when it was dropped."""
        self._send(center, on_probed)

    def _send(self, center: int, on_probed: OnProbed | None) -> None:
        if self._out >= PROBES_MAX or self._out_at[center] >= PROBES_PER_CENTER_MAX:
            self._metrics.probe_ended("dropped")
            return
        self._out += 1
        self._out_at[center] += 1
        probe = _Probe(self, center, on_probed)
        probe.timer = self._call_at(self._clock() + PROBE_TIMEOUT_S, probe.silent)
        self._ports[center].probe(self._vantage, probe.heard)

    def ended(self, center: int, report: Report | None, on_probed: OnProbed | None) -> None:
        """One probe is over; ``report`` None: nobody answered."""
        self._out -= 1
        self._out_at[center] -= 1
        self._metrics.probe_ended("silent" if report is None else "answered")
        if report is not None:
            self._router.reported(center, report, self._clock())
        if on_probed is not None:
            on_probed(center, report is not None)


class _Probe:
    """One probe under way; what comes first, the answer or the timeout, ends it."""

    __slots__ = ("_center", "_on_probed", "_open", "_prober", "timer")

    timer: Timer

    def __init__(self, prober: Prober, center: int, on_probed: OnProbed | None) -> None:
        self._prober = prober
        self._center = center
        self._on_probed = on_probed
        self._open = True

    def heard(self, report: Report | None) -> None:
        """The center's answer, or its death."""
        if self._open:
            self._open = False
            self.timer.cancel()
            self._prober.ended(self._center, report, self._on_probed)

    def silent(self) -> None:
        """The time is over."""
        self.heard(None)
