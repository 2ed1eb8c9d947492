"""An ensemble as one model: its steps run one after another, and no tensor leaves the process.

What the steps' models take and give is held against one another when the ensemble is loaded, so
that what is wrong is said then. Afterwards it is a model like any other: its time and what it gains
from a batch are measured as those of a file are, and a run of it is one run, which takes one slot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gateway.api import ConfigError, NdArray, TensorSpec
from gateway.engine.ensemble_config import Ensemble, Step, in_order
from gateway.engine.session import OpenedFile, RunSession

if TYPE_CHECKING:
    from gateway.engine.loaded_model import LoadedModel

Member = Callable[[str, int], "LoadedModel"]
"""(name, version or 0) -> the model. Raises ConfigError when there is none."""


@dataclass(frozen=True, slots=True)
class _Planned:
    """A step, ready to run: pairs of the model's name and the ensemble's."""

    run: RunSession
    takes: tuple[tuple[str, str], ...]
    gives: tuple[str, ...]
    makes: tuple[str, ...]


def open_ensemble(where: str, ensemble: Ensemble, batch_max: int, member: Member) -> OpenedFile:
    """What ``load_model`` measures and runs. ``where``: the config's path, for messages.

    Raises ConfigError: a model or tensor that is not there, a circle, types or sizes that do not
    fit together, what nobody takes, or a batch larger than a step's model takes.
    """
    steps = [(step, member(step.model, step.version)) for step in in_order(ensemble, where)]
    made: dict[str, TensorSpec] = {}
    taken: dict[str, TensorSpec] = {}
    for step, model in steps:
        at = f"{where}: step {step.model!r}"
        _check_names(at, step, model)
        most = model.config.max_batch_size
        if 0 < most < batch_max:
            raise ConfigError(
                f"{at}: max_batch_size is {batch_max} here and {most} there; expected at most "
                f"{most}"
            )
        theirs = {spec.name: spec for spec in model.metadata.inputs}
        for name, ours in step.inputs.items():
            if ours in made:
                _joined(f"{at}: input {name!r}", theirs[name], made[ours])
            elif ours in taken:
                taken[ours] = _joined(f"{at}: input {name!r}", theirs[name], taken[ours])
            else:
                taken[ours] = replace(theirs[name], name=ours)
        for spec in model.metadata.outputs:
            if spec.name in step.outputs:
                ours = step.outputs[spec.name]
                made[ours] = replace(spec, name=ours)
    known = {**taken, **made}
    return OpenedFile(
        _runner([_planned(step, model) for step, model in steps]),
        tuple(taken[name] for name in ensemble.inputs),
        tuple(known[name] for name in ensemble.outputs),
        {},
    )


def _check_names(at: str, step: Step, model: LoadedModel) -> None:
    """The step names what the model has, and all that it needs."""
    inputs = {spec.name: spec for spec in model.metadata.inputs}
    outputs = {spec.name: spec for spec in model.metadata.outputs}
    for role, named, there in (("input", step.inputs, inputs), ("output", step.outputs, outputs)):
        for name in named:
            if name not in there:
                raise ConfigError(
                    f"{at}: the model has no {role} {name!r}; it has {', '.join(map(repr, there))}"
                )
    for name, spec in inputs.items():
        if name not in step.inputs and not spec.optional:
            raise ConfigError(f"{at}: nothing is given to the model's input {name!r}")


def _joined(at: str, wanted: TensorSpec, given: TensorSpec) -> TensorSpec:
    """``given`` with the sizes that both leave free. Raises ConfigError when they do not fit."""
    if wanted.datatype != given.datatype:
        raise ConfigError(f"{at} is {wanted.datatype}, but {given.name!r} is {given.datatype}")
    fits = len(wanted.shape) == len(given.shape) and all(
        a == b or -1 in (a, b) for a, b in zip(wanted.shape, given.shape, strict=True)
    )
    if not fits:
        raise ConfigError(
            f"{at} has shape {list(wanted.shape)}, but {given.name!r} has {list(given.shape)} "
            "(-1 is free)"
        )
    shape = tuple(max(a, b) for a, b in zip(wanted.shape, given.shape, strict=True))
    return replace(given, shape=shape, optional=given.optional and wanted.optional)


def _planned(step: Step, model: LoadedModel) -> _Planned:
    return _Planned(
        model.run_session,
        tuple(step.inputs.items()),
        tuple(step.outputs),
        tuple(step.outputs.values()),
    )


def _runner(steps: Sequence[_Planned]) -> RunSession:
    """All of them as one run of a session: strings are as onnxruntime has them throughout."""

    def run(outputs: Sequence[str], inputs: Mapping[str, NdArray], _options: None) -> list[Any]:
        tensors: dict[str, NdArray] = dict(inputs)
        for step in steps:
            given = {name: tensors[ours] for name, ours in step.takes if ours in tensors}
            arrays = step.run(step.gives, given, None)
            tensors.update(zip(step.makes, arrays, strict=True))
        return [tensors[name] for name in outputs]

    return run
