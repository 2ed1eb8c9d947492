"""The plan: checked before anything runs, and repeatable from its command line."""

from pathlib import Path
from typing import Any

import pytest

from gateway.api import ConfigError
from gateway.measure.verify_plan import VerifyPlan


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"profile": "fast"}, "premium, cloud, internet"),
        ({"objective": 1.0}, "a share such as 0.99"),
        ({"objective": 99.0}, "a share such as 0.99"),
        ({"others_share": 1.0}, "0 or more, below 1"),
        ({"rate": 0.0}, "a rate above 0"),
        ({"duration_s": 0.5}, "1 s or more"),
        ({"warmup_s": -1.0}, "a warm-up of 0 s or more"),
        ({"url": "http://h:1", "gateway_delay_ms": 2.0}, "leave out --url"),
        ({"url": "http://h:1", "policy": "nearest"}, "leave out --url"),
    ],
)
def test_what_cannot_be_is_refused_with_what_would_be_right(
    options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        VerifyPlan(**options)


def test_the_command_leaves_out_defaults_and_quotes_what_needs_it() -> None:
    plan = VerifyPlan(
        sites="core",
        models=(Path("my models"), Path("b")),
        duration_s=120.0,
        jitter=False,
        seed=3,
        service_budget_ms=2.0,
    )
    assert plan.command() == (
        "nearway verify --sites core --models 'my models' --models b --no-jitter --seed 3 "
        "--service-budget-ms 2 --duration 120"
    )
    assert VerifyPlan().command() == "nearway verify"


def test_the_path_model_is_the_plans() -> None:
    model = VerifyPlan(profile="premium", border_ms=5.0, last_mile_ms=2.0).path_model
    assert (model.profile.name, model.border_ms, model.last_mile_ms) == ("premium", 5.0, 2.0)


def test_the_rules_are_the_plans() -> None:
    rules = VerifyPlan(target_ms=20.0, service_budget_ms=3.0, seed=9).rules("one-way")
    assert (rules.target_ms, rules.service_budget_ms, rules.seed) == (20.0, 3.0, 9)
    assert rules.network_ms_max == 34.0
