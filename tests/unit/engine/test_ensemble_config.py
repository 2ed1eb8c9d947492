"""The graph of an ensemble: an order, or what is wrong with it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.api import ConfigError
from gateway.engine.ensemble_config import Ensemble, Step, in_order


def step(model: str, inputs: dict[str, str], outputs: dict[str, str]) -> Step:
    return Step(model, inputs, outputs)


def ensemble(
    *steps: Step, inputs: tuple[str, ...] = ("a",), outputs: tuple[str, ...] = ("z",)
) -> Any:
    return Ensemble(inputs, outputs, steps)


def test_steps_run_behind_those_that_make_what_they_take() -> None:
    last = step("last", {"p": "b", "q": "c"}, {"y": "z"})
    left, right = step("left", {"x": "m"}, {"y": "b"}), step("right", {"x": "m"}, {"y": "c"})
    first = step("first", {"x": "a"}, {"y": "m"})
    order = in_order(ensemble(last, right, left, first), "here")
    assert [one.model for one in order] == ["first", "right", "left", "last"]


def test_a_model_may_be_a_step_twice() -> None:
    twice = [step("m", {"x": "a"}, {"y": "b"}), step("m", {"x": "b"}, {"y": "z"})]
    assert in_order(ensemble(*twice), "here") == tuple(twice)


WRONG: dict[str, tuple[Any, str]] = {
    "a circle": (
        ensemble(
            step("m", {"x": "a", "w": "c"}, {"y": "b"}), step("n", {"x": "b"}, {"y": "c", "v": "z"})
        ),
        "the steps 'm', 'n' wait for one another's tensors in a circle",
    ),
    "its own output": (
        ensemble(step("m", {"x": "a", "w": "b"}, {"y": "b", "v": "z"})),
        "the steps 'm' wait",
    ),
    "made by nobody": (
        ensemble(step("m", {"x": "a", "w": "ids"}, {"y": "z"})),
        "step 'm' takes 'ids', which no step makes .* there are 'a', 'z'",
    ),
    "an output of nobody": (
        ensemble(step("m", {"x": "a"}, {"y": "z"}), outputs=("z", "q")),
        "outputs name 'q', which no step makes",
    ),
    "taken by nobody": (
        ensemble(step("m", {"x": "a"}, {"y": "z", "v": "rest"})),
        "step 'm' makes 'rest', which no step takes",
    ),
    "an input for nobody": (
        ensemble(step("m", {"x": "a"}, {"y": "z"}), inputs=("a", "b")),
        "no step takes the input 'b'",
    ),
    "made twice": (
        ensemble(step("m", {"x": "a"}, {"y": "z"}), step("n", {"x": "a"}, {"y": "z"})),
        "step 'n' makes 'z', which is an output of step 'm' as well",
    ),
    "an input made": (
        ensemble(step("m", {"x": "a"}, {"y": "a", "v": "z"})),
        "makes 'a', which is an input of the ensemble as well",
    ),
    "named twice": (
        ensemble(step("m", {"x": "a"}, {"y": "z"}), inputs=("a", "a")),
        "inputs name a tensor twice",
    ),
    "no outputs": (
        ensemble(step("m", {"x": "a"}, {"y": "z"}), step("n", {"x": "a"}, {})),
        "step 'n' has no outputs",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said(name: str) -> None:
    wrong, what = WRONG[name]
    with pytest.raises(ConfigError, match=f"here: .*{what}"):
        in_order(wrong, "here")


@pytest.mark.parametrize("keys", [{"step": []}, {"inputs": []}, {"outputs": []}, {"steps": []}])
def test_a_form_that_is_none_is_refused(keys: Any) -> None:
    whole = {
        "inputs": ["a"],
        "outputs": ["z"],
        "step": [{"model": "m", "inputs": {"x": "a"}, "outputs": {"y": "z"}}],
    }
    assert msgspec.convert(whole, Ensemble).step[0].version == 0
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({**whole, **keys}, Ensemble)
