"""Planted bugs in what is counted: charges, places, budgets, metrics, logs, memory."""

from __future__ import annotations

from typing import Any

from gateway.centers.emulated import EmulatedCenter
from gateway.centers.local import LocalCenter
from gateway.centers.remote.pool import Pool
from gateway.fleet import Fleet
from gateway.fleet.health import Health
from gateway.fleet.work import Work
from gateway.routing import Router
from gateway.routing.attempts import RetryBudget
from gateway.serving.front import Front
from gateway.serving.hot_lane.lane import HotLane
from gateway.serving.probing import _Probe
from gateway.telemetry import Metrics
from gateway.telemetry.decision_log import DecisionRecorder
from gateway.testing.adversary.planting import Planted, does_nothing, returns, twice


def _refunds_half(original: Any) -> Any:
    def refund(self: Work, center: int, service_ms: float) -> None:
        original(self, center, 0.5 * service_ms)

    return refund


def _charges_the_next(original: Any) -> Any:
    def charge(self: Work, center: int, service_ms: float) -> None:
        original(self, (center + 1) % len(self._count), service_ms)

    return charge


def _unless_cancelled(original: Any) -> Any:
    def ended(self: Router, outcome: Any) -> None:
        if outcome.ending != "cancelled":
            original(self, outcome)

    return ended


def _no_500(original: Any) -> Any:
    def count(self: Metrics, model: str, code: int) -> None:
        if code < 500:
            original(self, model, code)

    return count


def _errors_are_answers(original: Any) -> Any:
    def attempt_ended(self: Metrics, ending: Any, predicted_ms: float, attempt_ms: float) -> None:
        original(self, "answer" if ending == "error" else ending, predicted_ms, attempt_ms)

    return attempt_ended


def _drops_silently(original: Any) -> Any:
    def write(self: DecisionRecorder, batch: Any) -> None:
        dropped = self.dropped
        original(self, batch)
        self.dropped = dropped

    return write


def _only_columns(_original: Any) -> Any:
    def health_changed(self: Fleet, center: int, *, stage_changed: bool) -> None:
        self._error_rate[center] = float(stage_changed)

    return health_changed


def _frees_one_in_three(original: Any) -> Any:
    calls = 0

    def free_slot(self: Any, *given: Any) -> None:
        nonlocal calls
        calls += 1
        original(self, *given)
        if calls % 3 == 0:
            self.free_slots -= 1

    return free_slot


def _still_counts_it(original: Any) -> Any:
    def forget(self: Pool, connection: Any) -> None:
        original(self, connection)
        self._open.add(connection)

    return forget


BOOKS: tuple[Planted, ...] = (
    ("forgets to refund", ("charged",), ((Work, "refund", does_nothing),)),
    ("refunds half", ("charged",), ((Work, "refund", _refunds_half),)),
    ("charges twice", ("charged",), ((Work, "charge", twice),)),
    ("charges another center", ("charged",), ((Work, "charge", _charges_the_next),)),
    ("keeps what was cancelled", ("charged",), ((Router, "ended", _unless_cancelled),)),
    ("never gives a place back", ("in flight", "recovery"), ((Front, "leave", does_nothing),)),
    ("gives a place back twice", ("in flight",), ((Front, "leave", twice),)),
    ("counts a request twice", ("in flight", "recovery"), ((Front, "enter", twice),)),
    ("does not count errors", ("books",), ((Metrics, "_count", _no_500),)),
    ("counts answers twice", ("books",), ((Metrics, "answered", twice),)),
    ("calls errors answers", ("books",), ((Metrics, "attempt_ended", _errors_are_answers),)),
    ("loses records on a full disk", ("books",), ((DecisionRecorder, "write", _drops_silently),)),
    ("keeps a retry's place", ("retry budget",), ((RetryBudget, "release", does_nothing),)),
    ("ejects without a word", ("ejection",), ((Fleet, "_health_changed", _only_columns),)),
    ("never ejects", ("ejection",), ((Health, "_eject", returns(value=False)),)),
    ("never probes", ("recovery", "bounded"), ((Fleet, "to_probe", returns([])),)),
    ("waits for probes for ever", ("bounded",), ((_Probe, "silent", does_nothing),)),
    ("keeps lost connections", ("bounded",), ((HotLane, "lost", does_nothing),)),
    ("keeps dead connections to a center", ("bounded", "no surprise", "recovery"),
     ((Pool, "forget", _still_counts_it),)),
    ("loses slots", ("bounded", "recovery"),
     ((LocalCenter, "free_slot", _frees_one_in_three),
      (EmulatedCenter, "next_from_queue", _frees_one_in_three))),
)  # fmt: skip
