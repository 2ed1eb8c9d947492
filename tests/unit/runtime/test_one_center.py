"""Where there is one center, it is the decision."""

from __future__ import annotations

import pytest

from gateway.api import NoCenter, Outcome, Query, Report
from gateway.runtime.one_center import OneCenter


def test_it_is_always_the_one_and_never_another() -> None:
    router, query = OneCenter(), Query(3, "m")
    decision = router.decide(query, 5.0)
    assert (decision.center, decision.runner_up, decision.now) == (0, -1, 5.0)
    router.commit(decision, 5.0)
    router.ended(Outcome(0, 3, "m", "error", 1.0, None, 0.0, 0.0, 6.0))
    router.reported(0, Report(0.0, 0.0), 6.0)
    assert router.decide(query, 7.0).center == 0
    with pytest.raises(NoCenter):
        router.next(decision, 6.0)
    assert router.probes(6.0) == []
    assert router.explain(query, 6.0).order == (0,)
