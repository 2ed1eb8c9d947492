"""When a gateway is ready, and what it says when it is not."""

from __future__ import annotations

import pytest

from gateway.runtime.readiness import why_unready

MODELS = {"a": {0, 1}, "b": {2}}


def test_all_well() -> None:
    assert why_unready([1, 1, 1], MODELS, 1.0) == ""


@pytest.mark.parametrize(
    ("up", "share", "ready"), [(2, 0.5, True), (1, 0.5, False), (0, 0.0, False)]
)
def test_a_share_of_the_centers(up: int, share: float, ready: bool) -> None:
    serving = [True] * up + [False] * (4 - up)
    why = why_unready(serving, {"a": {0, 1, 2, 3}}, share)
    assert (why == "") is ready
    if not ready:
        assert f"{up} of 4 centers" in why


def test_a_model_that_only_ejected_centers_have_is_named() -> None:
    assert why_unready([1, 1, 0], MODELS, 0.5) == "no center in service has b"


def test_a_model_that_no_center_has_loaded_is_named() -> None:
    assert "no center in service has c" in why_unready([1, 1, 1], {**MODELS, "c": set()}, 0.5)


def test_many_missing_models_are_counted() -> None:
    models = {f"m{number}": {1} for number in range(9)}
    assert "and 4 more" in why_unready([1, 0], models, 0.5)


def test_without_any_model_it_is_not_ready() -> None:
    assert "no center has told" in why_unready([1], {}, 0.0)
