from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gateway.api import ConfigError
from gateway.simulation.arrivals import (
    STEP_S,
    crowd_factors,
    diurnal_factors,
    gaps,
    instants,
    read_trace,
    weibull_shape,
)
from gateway.simulation.scenario import Arrivals, Crowd, Diurnal
from gateway.simulation.streams import stream


@pytest.mark.parametrize("process", ["poisson", "gamma", "weibull"])
@pytest.mark.parametrize("cv", [1.0, 3.0])
def test_gaps_have_mean_one_and_the_asked_variation(process: str, cv: float) -> None:
    plan = Arrivals(process=process, cv=cv)  # type: ignore[arg-type]  # parametrised
    drawn = gaps(plan, 200_000, stream(1, "test"))
    assert drawn.mean() == pytest.approx(1.0, abs=0.03)
    expected = 1.0 if process == "poisson" else cv
    assert drawn.std() / drawn.mean() == pytest.approx(expected, rel=0.05)


def test_the_weibull_of_variation_one_is_exponential() -> None:
    assert weibull_shape(1.0) == pytest.approx(1.0)


def test_a_constant_rate_is_a_division() -> None:
    assert instants(np.array([1.0, 2.0]), 100.0, None).tolist() == [0.01, 0.02]


def test_requests_come_where_the_rate_is() -> None:
    shape = np.concatenate([np.full(50, 1.0), np.full(50, 3.0)])  # 1 s each
    at_s = instants(np.arange(1.0, 401.0), 100.0, shape)
    assert np.sum(at_s <= 1.0 + 1e-9) == 100
    assert np.sum((at_s > 1.0 + 1e-9) & (at_s <= 2.0 + 1e-9)) == 300
    assert np.all(np.diff(at_s) > 0)


def test_after_the_end_of_the_shape_its_last_rate_holds() -> None:
    at_s = instants(np.array([100.0, 400.0]), 100.0, np.full(50, 1.0))
    assert at_s.tolist() == pytest.approx([1.0, 4.0])


def test_a_day_is_one_on_average_and_moves_with_the_sun() -> None:
    at_s = np.arange(0.0, 24.0, STEP_S)
    factors = diurnal_factors(Diurnal(day_s=24.0), np.array([0.0, 90.0]), at_s)
    assert factors.mean(axis=0).tolist() == pytest.approx([1.0, 1.0], rel=0.01)
    later = at_s[factors[:, 0].argmax()] - at_s[factors[:, 1].argmax()]
    assert later == pytest.approx(6.0)


def test_a_crowd_grows_lasts_and_goes() -> None:
    plan = Crowd(at_s=1.0, until_s=3.0, ramp_s=1.0, factor=3.0, origins=("x",))
    factors = crowd_factors(plan, [1], 2, np.array([0.5, 1.5, 2.5, 3.5, 5.0]))
    assert factors[:, 0].tolist() == [1.0] * 5
    assert factors[:, 1].tolist() == [1.0, 2.0, 3.0, 2.0, 1.0]


def test_a_trace_is_read_filtered_and_repeated(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(
        "t_ms,service,origin,context_tokens,generated_tokens\n"
        "1000,code,Paris,10,2\n500,chat,Lima,1,1\n3000,code,Oslo,20,4\n"
    )
    rows = read_trace(path, "service", "code", 3)
    assert rows.at_s.tolist() == [0.0, 2.0, 4.0]
    assert rows.origins == ("Paris", "Oslo", "Paris")
    assert rows.tokens.tolist() == [12.0, 24.0, 12.0]
    assert rows.models == ()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("when,what\n1,2\n2,3\n", "column t_ms"),
        ("t_ms\n1\n", "found 1 rows"),
        ("t_ms\n1\nsoon\n", "soon"),
        ("t_ms\n1\n1\n", "some length"),
    ],
)
def test_a_wrong_trace_is_refused(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ConfigError, match=told):
        read_trace(tmp_path / "t.csv", "", "", 10)
