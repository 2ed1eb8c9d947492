"""An ensemble as its config has it: steps that pass named tensors on, and in which order they run.

    [ensemble]
    inputs = ["words"]
    outputs = ["embedding"]

    [[ensemble.step]]
    model = "tokenise"
    inputs = { text = "words" }       # the model's input = a tensor of the ensemble
    outputs = { ids = "ids" }         # the model's output = a tensor of the ensemble

    [[ensemble.step]]
    model = "embed"
    version = 2                       # the latest one where absent
    inputs = { input_ids = "ids" }
    outputs = { vector = "embedding" }

Steps may stand in any order. Every tensor has one origin, an input of the ensemble or a step, and
somebody who takes it: a step, or whoever asks the ensemble.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta

from gateway.api import ConfigError
from gateway.config.settings import Section

Names = tuple[Annotated[str, Meta(min_length=1)], ...]


class Step(Section, frozen=True):
    """A model and what it takes and gives: its own names to those of the ensemble's tensors.

    ``version`` 0: the latest.
    """

    model: Annotated[str, Meta(min_length=1)]
    inputs: dict[str, str]
    outputs: dict[str, str]
    version: Annotated[int, Meta(ge=0)] = 0


class Ensemble(Section, frozen=True):
    """Its tensors in and out, and the steps between."""

    inputs: Annotated[Names, Meta(min_length=1)]
    outputs: Annotated[Names, Meta(min_length=1)]
    step: Annotated[tuple[Step, ...], Meta(min_length=1, max_length=256)]


def in_order(ensemble: Ensemble, where: str) -> tuple[Step, ...]:
    """The steps, each behind those that make what it takes. Raises ConfigError, from ``where``."""
    _check_origins(ensemble, where)
    _check_takers(ensemble, where)
    made, waiting = set(ensemble.inputs), list(ensemble.step)
    order: list[Step] = []
    while waiting:
        ready = [step for step in waiting if made.issuperset(step.inputs.values())]
        if not ready:
            names = ", ".join(repr(step.model) for step in waiting)
            raise ConfigError(
                f"{where}: the steps {names} wait for one another's tensors in a circle; expected "
                "an order in which each takes what was made before"
            )
        for step in ready:
            made.update(step.outputs.values())
        order += ready
        waiting = [step for step in waiting if step not in ready]
    return tuple(order)


def _check_origins(ensemble: Ensemble, where: str) -> None:
    """Every tensor that is taken comes from one place."""
    origins = dict.fromkeys(ensemble.inputs, "an input of the ensemble")
    if len(origins) != len(ensemble.inputs):
        raise ConfigError(f"{where}: inputs name a tensor twice; expected each once")
    for step in ensemble.step:
        for name in step.outputs.values():
            if name in origins:
                raise ConfigError(
                    f"{where}: step {step.model!r} makes {name!r}, which is {origins[name]} as "
                    "well; expected another name"
                )
            origins[name] = f"an output of step {step.model!r}"
    for step in ensemble.step:
        _check_made(step.inputs.values(), origins, f"{where}: step {step.model!r} takes")
    _check_made(ensemble.outputs, origins, f"{where}: outputs name")


def _check_made(names: Iterable[str], origins: dict[str, str], what: str) -> None:
    for name in names:
        if name not in origins:
            raise ConfigError(
                f"{what} {name!r}, which no step makes and which is no input of the ensemble; "
                f"there are {', '.join(map(repr, origins))}"
            )


def _check_takers(ensemble: Ensemble, where: str) -> None:
    """Nothing is made, or asked for, in vain."""
    taken = {name for step in ensemble.step for name in step.inputs.values()}
    for name in ensemble.inputs:
        if name not in taken:
            raise ConfigError(
                f"{where}: no step takes the input {name!r}; expected one, or leave it out"
            )
    for step in ensemble.step:
        for name in step.outputs.values():
            if name not in taken and name not in ensemble.outputs:
                raise ConfigError(
                    f"{where}: step {step.model!r} makes {name!r}, which no step takes and which "
                    "is no output of the ensemble; leave it out of the step's outputs"
                )
        if not step.outputs:
            raise ConfigError(f"{where}: step {step.model!r} has no outputs; expected one at least")
