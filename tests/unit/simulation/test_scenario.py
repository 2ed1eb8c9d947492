from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway.api import ConfigError
from gateway.simulation.scenario import Scenario, scenario_of

Make = Callable[..., Scenario]


def test_a_variant_takes_dotted_and_underscored_keys(plan: Make) -> None:
    variant = plan().with_(gateways__count=16, **{"reports.loss": 0.2})
    assert variant.gateways.count == 16
    assert variant.reports.loss == 0.2
    assert plan().gateways.count == 4


def test_a_variant_may_add_a_table_that_was_not_there(plan: Make) -> None:
    assert plan(antagonist__factor=8.0).antagonist.factor == 8.0
    assert plan(antagonist__factor=8.0).with_(antagonist=None).antagonist is None


def test_events_are_given_as_tables(plan: Make) -> None:
    (event,) = plan(events=[{"kind": "slow", "at_s": 1.0, "value": 10.0, "count": 1}]).events
    assert (event.kind, event.value, event.count) == ("slow", 10.0, 1)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"reports__los": 1}, "reports: unknown key 'los'; did you mean 'loss'?"),
        ({"colour": 1}, "top level: unknown key 'colour'"),
        ({"arrivals__load": -1.0}, "arrivals.load"),
        ({"arrivals__process": "sometimes"}, "sometimes"),
        ({"arrivals__process": "trace"}, "go together"),
        ({"events": [{"kind": "slow", "at_s": 2.0, "value": 2.0, "until_s": 1.0}]}, "not after"),
        ({"events": [{"kind": "slow", "at_s": 2.0}]}, "needs a value"),
        (
            {"events": [{"kind": "refuse", "at_s": 0.0, "zone": "a", "count": 2}]},
            "name the centers once",
        ),
        ({"events": [{"kind": "refuse", "at_s": 0.0, "origin": "x"}]}, "path_shift alone"),
        ({"events": [{"kind": "explode", "at_s": 0.0}]}, "explode"),
        ({"gateways__places": []}, "needs gateways.places"),
        ({"gateways__at": "origin"}, "a metro has zones"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(
    plan: Make, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigError, match="small with") as refused:
        plan(**changes)
    assert told in str(refused.value)


def test_a_description_is_required() -> None:
    with pytest.raises(ConfigError, match="description"):
        scenario_of({"name": "x"}, "test")
