"""The noise criterion: which witness speaks, and by how much."""

import math

import numpy as np
import pytest

from gateway.measure.noise import LoopState, Witness, witnesses
from gateway.measure.samples import Samples


def samples(late_send_ms: list[float]) -> Samples:
    n = len(late_send_ms)
    zeros = np.zeros(n)
    return Samples(
        zeros,
        np.zeros(n, np.int32),
        np.full(n, 200, np.int32),
        zeros,
        np.full(n, 40.0),
        zeros,
        zeros,
        zeros,
        zeros,
        np.array(late_send_ms),
        np.zeros(n, np.int32),
        ("A",),
        ("a",),
    )


def named(found: tuple[Witness, ...]) -> dict[str, Witness]:
    return {witness.name: witness for witness in found}


def test_a_quiet_machine_has_no_busy_witness() -> None:
    found = witnesses(samples([0.1] * 50), timer_p99_ms=0.2, loop=LoopState(late_p99_ms=0.3))
    assert [w.busy for w in found] == [False, False, False]


@pytest.mark.parametrize(
    ("sent_ms", "timer_ms", "loop_ms", "busy"),
    [(0.1, 0.9, 0.1, "timer"), (0.9, 0.1, 0.1, "generator"), (0.1, 0.1, 2.1, "loop")],
)
def test_each_witness_speaks_for_itself(
    sent_ms: float, timer_ms: float, loop_ms: float, busy: str
) -> None:
    found = named(
        witnesses(
            samples([sent_ms] * 50),
            timer_p99_ms=timer_ms,
            loop=LoopState(late_p99_ms=loop_ms),
        )
    )
    assert [name for name, witness in found.items() if witness.busy] == [busy]
    over = "2.10 ms, 0.10 ms over the limit of 2 ms"
    if busy != "loop":
        over = "0.90 ms, 0.40 ms over the limit of 0.5 ms"
    assert over in found[busy].sentence


def test_what_was_not_measured_cannot_speak() -> None:
    found = witnesses(samples([math.nan]), timer_p99_ms=math.nan, loop=LoopState())
    assert not any(w.busy for w in found)
    assert all(math.isnan(w.p99_ms) for w in found)


def test_one_late_request_in_a_thousand_is_not_the_99th_percentile() -> None:
    found = named(witnesses(samples([0.1] * 999 + [50.0]), timer_p99_ms=0.1, loop=LoopState()))
    assert not found["generator"].busy
