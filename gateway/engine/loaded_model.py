"""One version of one model in memory: what it is, how to run it, how often it ran.

``run`` is on the way of every request: it adds one Python call to onnxruntime's own. A wrong
request and a failing center must not be confused, because only the latter is tried elsewhere
and held against the center. The request's fault are an invalid argument (an index out of
bounds, say), free dimensions that should agree and do not, and sizes of free dimensions that
a node of the graph then refuses: every center has the same graph. Whatever has to do with
memory, and any failure of a model that leaves nothing free, is the center's.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gateway.api import (
    CenterFailed,
    ConfigError,
    InvalidRequest,
    ModelMetadata,
    NdArray,
    NearwayError,
    TensorSpec,
)
from gateway.engine.batch_gain import measure_batching
from gateway.engine.batching import Batching
from gateway.engine.ensemble import Member, open_ensemble
from gateway.engine.generation.language import Language, language_of
from gateway.engine.model_config import (
    CONFIG_FILE,
    ModelConfig,
    check_batch,
    read_labels,
    read_model_config,
)
from gateway.engine.model_file import check_model_file
from gateway.engine.model_statistics import ModelStatistics
from gateway.engine.session import INVALID_ARGUMENT, ORT_ERRORS, OpenedFile, open_file, plain
from gateway.engine.triton_pbtxt import PBTXT_FILE, narrowed, read_pbtxt
from gateway.engine.warm_up import RunTime, measure_run_time, strings_from_bytes, warm_up

MODEL_FILE = "model.onnx"
PLATFORM = "onnxruntime_onnx"
ENSEMBLE_PLATFORM = "ensemble"


@dataclass(frozen=True, slots=True)
class Measured:
    """What the first load of a version found; the same files need not be measured again."""

    run_time: RunTime
    batching: Batching


class LoadedModel:
    """A version of a model that can be run.

    ``run_time`` is measured with the example (or zeros); ``run_ms`` is how long a run occupies
    a slot of a center of speed 1, longer where a service time is declared. ``batching``: how
    many examples of several requests may run as one. ``labels``: by output name. ``language``: how
    it reads and writes text, None when it does not. ``under_way``
    and ``used_s``: requests at centers of this process now, and when the last one came; the
    centers write them. ``run_session``: as ``run``, with arrays as onnxruntime has them.
    """

    def __init__(
        self,
        version: str,
        path: Path,
        opened: OpenedFile,
        metadata: ModelMetadata,
        config: ModelConfig,
        labels: Mapping[str, tuple[str, ...]],
        run_time: RunTime,
        batching: Batching,
        language: Language | None = None,
    ) -> None:
        self.name = metadata.name
        self.version = version
        self.versions = metadata.versions
        self.metadata = metadata
        self.config = config
        self.labels = labels
        self.path = path
        self.run_time = run_time
        self.batching = batching
        self.language = language
        self.run_ms = max(run_time.run_ms, config.service.mean_ms if config.service else 0.0)
        self.under_way = 0
        self.used_s = 0.0
        self.run_session = self._run = opened.run
        self._free_names = opened.free_names
        self._has_free_sizes = any(-1 in spec.shape for spec in metadata.inputs)
        self._string_inputs = _names_of_bytes(metadata.inputs)
        self._string_outputs = frozenset(_names_of_bytes(metadata.outputs))
        self._statistics = ModelStatistics()
        self.record = self._statistics.record
        self.record_failure = self._statistics.record_failure
        self.record_lookup = self._statistics.record_lookup

    def run(self, inputs: Mapping[str, NdArray], outputs: Sequence[str]) -> list[NdArray]:
        """The named outputs, in their order; dtypes as in ``DTYPES``, BYTES are bytes.

        Raises InvalidRequest when the request cannot be run, CenterFailed when the model fails.
        """
        try:
            if self._string_inputs:
                inputs = self._with_strings(inputs)
            arrays = self._run(outputs, inputs, None)
        except ORT_ERRORS as error:
            raise self._blame(error, inputs) from None
        if self._string_outputs:
            return [
                _bytes_from_strings(array) if name in self._string_outputs else array
                for name, array in zip(outputs, arrays, strict=True)
            ]
        return arrays

    def expected_ms(self, inputs: Mapping[str, NdArray]) -> float:
        """How long ``run`` will take with a batch of this size."""
        run_ms = self.run_time.run_ms
        if not self.run_time.extra_ms:
            return run_ms
        for array in inputs.values():
            return run_ms + self.run_time.extra_ms * (len(array) - 1)
        return run_ms

    def statistics(self) -> dict[str, Any]:
        """Triton's ``model_stats`` entry of this version."""
        return self._statistics.as_triton(self.name, self.version)

    def _with_strings(self, inputs: Mapping[str, NdArray]) -> Mapping[str, NdArray]:
        converted = dict(inputs)
        for name in self._string_inputs:
            if name not in inputs:
                continue  # it is optional
            try:
                converted[name] = strings_from_bytes(inputs[name])
            except UnicodeDecodeError as error:
                raise InvalidRequest(
                    f"input {name!r}: not UTF-8 ({error.reason}); onnxruntime takes UTF-8 only"
                ) from None
        return converted

    def _blame(self, error: Exception, inputs: Mapping[str, NdArray]) -> NearwayError:
        if isinstance(error, INVALID_ARGUMENT):
            return InvalidRequest(f"model {self.name!r} refused the inputs: {plain(error)}")
        sizes: dict[str, tuple[int, str]] = {}
        for name, free_names in self._free_names.items():
            shape = inputs[name].shape if name in inputs else ()
            for free, size in zip(free_names, shape, strict=False):
                if free is None:
                    continue
                known = sizes.setdefault(free, (size, name))
                if known[0] != size:
                    return InvalidRequest(
                        f"input {name!r}: dimension {free!r} is {size}, but {known[0]} in "
                        f"input {known[1]!r}; they must agree"
                    )
        text = plain(error)
        if self._has_free_sizes and "alloc" not in text and not isinstance(error, MemoryError):
            shapes = {name: list(array.shape) for name, array in inputs.items()}
            return InvalidRequest(f"model {self.name!r} refused inputs of shape {shapes}: {text}")
        return CenterFailed(f"model {self.name!r} failed: {text}")


def load_model(
    folder: Path,
    version: str,
    versions: tuple[str, ...],
    *,
    tensor_elements_max: int,
    clock: Callable[[], float] = time.perf_counter,
    known: Measured | None = None,
    custom_ops: Sequence[str] = (),
    member: Member | None = None,
) -> LoadedModel:
    """Open ``folder/version/model.onnx``, hold its config against it and measure a run.

    An ensemble has no file: its steps' models are asked for by ``member``.

    ``folder`` bears the model's name. ``known``: the same files, when they were in memory before;
    then one run warms up and nothing is measured again. ``custom_ops``: libraries of operators.
    Raises ConfigError: what is wrong, where, what is right.
    """
    path = folder / version / MODEL_FILE
    config = read_model_config(folder)
    platform = PLATFORM
    if config.ensemble is not None and member is not None:
        where, platform = config_path(folder), ENSEMBLE_PLATFORM
        opened = open_ensemble(where, config.ensemble, config.max_batch_size, member)
    else:
        check_model_file(folder, path, custom_ops=bool(custom_ops))
        opened = open_file(path, config.session, custom_ops, config.optional_inputs)
    opened = _as_triton_has_it(folder, opened, config)
    check_batch(folder / CONFIG_FILE, config, opened.inputs)
    _check_size(path, opened.inputs, tensor_elements_max)
    labels = read_labels(folder, config, opened.outputs)
    metadata = ModelMetadata(folder.name, versions, platform, opened.inputs, opened.outputs)
    language = language_of(folder, opened.inputs, opened.outputs)
    if known is not None:
        warm_up(folder, opened)
        run_time, batching = known.run_time, known.batching
    else:
        run_time, ran = measure_run_time(folder, opened, clock)
        batching = _batching(opened, config, ran, clock)
    return LoadedModel(
        version, path, opened, metadata, config, labels, run_time, batching, language
    )


def config_path(folder: Path) -> str:
    """The file that says what an ensemble is."""
    return str(folder / (CONFIG_FILE if (folder / CONFIG_FILE).exists() else PBTXT_FILE))


def _as_triton_has_it(folder: Path, opened: OpenedFile, config: ModelConfig) -> OpenedFile:
    """Held against ``config.pbtxt``, if there: it may fix sizes that the file leaves free."""
    triton = read_pbtxt(folder)
    if triton is None:
        return opened
    batching = config.max_batch_size > 0
    return replace(
        opened,
        inputs=narrowed(triton, opened.inputs, "input", batching=batching),
        outputs=narrowed(triton, opened.outputs, "output", batching=batching),
    )


def _batching(
    opened: OpenedFile,
    config: ModelConfig,
    ran: Mapping[str, NdArray] | None,
    clock: Callable[[], float],
) -> Batching:
    if config.service is not None:
        return Batching(why="its service time is declared for one request")
    if ran is None:
        return Batching(why="it could not be run at load")
    return measure_batching(opened, ran, config.max_batch_size, clock)


def _check_size(path: Path, inputs: Sequence[TensorSpec], elements_max: int) -> None:
    """A model whose smallest request is over the bound could never be asked."""
    for spec in inputs:
        elements = math.prod(abs(size) for size in spec.shape)
        if elements > elements_max:
            raise ConfigError(
                f"{path}: input {spec.name!r} takes at least {elements} elements, but "
                f"server.tensor_elements_max is {elements_max}; raise it to serve this model"
            )


def _names_of_bytes(specs: Sequence[TensorSpec]) -> tuple[str, ...]:
    return tuple(spec.name for spec in specs if spec.datatype == "BYTES")


def _bytes_from_strings(array: NdArray) -> NdArray:
    encoded = np.empty(array.size, np.object_)
    encoded[:] = [item.encode() for item in array.ravel()]
    return encoded.reshape(array.shape)
