from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gateway.simulation.draws import Draws, capacity_per_s, draw
from gateway.simulation.scenario import Scenario, scenario_of
from gateway.simulation.world import world_of

Make = Callable[..., Scenario]


def drawn(scenario: Scenario, seed: int = 1, **options: float) -> Draws:
    return draw(world_of(scenario), seed, requests=None, load=None, **options)  # type: ignore[arg-type]  # none given


def test_the_measured_requests_are_as_many_as_asked_and_come_last(plan: Make) -> None:
    draws = drawn(plan())
    assert len(draws) - draws.warm == 2000
    assert draws.arrival_s[draws.warm] == pytest.approx(0.2, abs=0.02)
    assert np.all(np.diff(draws.arrival_s) >= 0)


def test_the_load_is_relative_to_the_true_speeds(plan: Make) -> None:
    slow = plan(speeds__groups=[{"factor": 2.0, "count": 24}])
    assert drawn(slow).rate_per_s == pytest.approx(drawn(plan()).rate_per_s / 2.0)
    world = world_of(plan())
    assert capacity_per_s(world, np.ones(24)) == pytest.approx(12_000.0)


def test_a_batch_is_worth_its_whole(plan: Make) -> None:
    batch = plan(service__batch={"alpha_ms": 1.5, "beta_ms": 0.5, "max": 5})
    assert capacity_per_s(world_of(batch), np.ones(24)) == pytest.approx(24_000 / 0.8)


def test_more_attempts_or_another_antagonist_shift_no_draw(plan: Make) -> None:
    one, two = drawn(plan()), drawn(plan(attempts__max=5, antagonist__factor=9.0))
    for name in ("arrival_s", "vantage", "gateway", "service_ms"):
        assert np.array_equal(getattr(one, name), getattr(two, name)), name
    assert np.array_equal(one.jitter_ms, two.jitter_ms[:3])


def test_run_times_have_the_asked_mean(plan: Make) -> None:
    draws = drawn(plan(requests=50_000, service__mean_ms=7.0, service__sigma=0.5))
    assert draws.service_ms.mean() == pytest.approx(7.0, rel=0.02)
    assert np.log(draws.service_ms).std() == pytest.approx(0.5, rel=0.02)


def test_runs_stall_by_attempt_and_shift_no_other_draw(plan: Make) -> None:
    calm = drawn(plan(requests=20_000))
    rare = drawn(plan(requests=20_000, service__stall_share=0.01, service__stall_factor=30.0))
    assert calm.stalls is None
    assert rare.stalls is not None
    assert np.array_equal(calm.service_ms, rare.service_ms)
    assert set(np.unique(rare.stalls)) == {1.0, 30.0}
    shares = (rare.stalls > 1.0).mean(axis=1)
    assert shares == pytest.approx([0.01] * 3, rel=0.3)
    assert not np.array_equal(rare.stalls[0], rare.stalls[1])


def test_another_seed_is_another_draw(plan: Make) -> None:
    assert not np.array_equal(drawn(plan()).arrival_s, drawn(plan(), seed=2).arrival_s)


def test_models_have_their_shares_and_means(plan: Make) -> None:
    draws = drawn(
        plan(
            requests=20_000,
            models=[
                {"name": "small", "mean_ms": 1.0, "share": 3.0},
                {"name": "large", "mean_ms": 5.0, "share": 1.0},
            ],
        )
    )
    assert np.mean(draws.model == 0) == pytest.approx(0.75, abs=0.02)
    assert draws.service_ms[draws.model == 1].mean() == pytest.approx(5.0, rel=0.03)


def test_a_crowd_comes_from_its_origins() -> None:
    base = {"name": "m", "description": "", "fleet": {"slots": 1}, "requests": 20_000}
    crowd = {"at_s": 0.5, "until_s": 60.0, "ramp_s": 0.0, "factor": 20.0, "origins": ["Lanzhou"]}
    plan = scenario_of({**base, "arrivals": {"crowd": crowd}, "warm_up_s": 0.0}, "test")
    world = world_of(plan)
    draws = draw(world, 1, requests=None, load=None)
    from_there = draws.vantage == world.find("Lanzhou")
    before, after = from_there[draws.arrival_s < 0.5], from_there[draws.arrival_s >= 0.5]
    assert len(before) > 5000
    assert after.mean() > 10 * before.mean()


def test_a_trace_brings_instants_origins_models_and_tokens(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        "t_ms,origin,model,tokens\n0,Paris,b,0\n100,Shanghai,a,100\n400,Paris,b,0\n"
    )
    plan = scenario_of(
        {
            "name": "t",
            "description": "",
            "folder": str(tmp_path),
            "requests": 3,
            "warm_up_s": 0.0,
            "models": [
                {"name": "a", "mean_ms": 1.0, "sigma": 0.0},
                {"name": "b", "mean_ms": 2.0, "sigma": 0.0},
            ],
            "service": {"per_token_ms": 0.5},
            "arrivals": {"process": "trace", "trace": {"file": "t.csv", "keep_rate": True}},
        },
        "test",
    )
    world = world_of(plan)
    draws = draw(world, 1, requests=None, load=None)
    assert draws.arrival_s.tolist() == [0.0, 0.1, 0.4]
    assert [world.places[v].name for v in draws.vantage] == ["Paris", "Shanghai", "Paris"]
    assert draws.service_ms.tolist() == [2.0, 51.0, 2.0]
    stretched = draw(
        world_of(plan.with_(arrivals__trace__keep_rate=False)), 1, requests=3, load=1.0
    )
    assert stretched.arrival_s[1] == pytest.approx(stretched.arrival_s[2] / 4.0)
    assert stretched.arrival_s[2] == pytest.approx(3 / stretched.rate_per_s)
