"""The engine of a simulated process: one model, real in all but its arithmetic and its time.

The model gives ``3 x + 1`` for every ``x`` it is given, so an answer tells whose it is. Real are
``LoadedModel``, the readers and writers of requests, joining and parting of batches; in place of
onnxruntime stands one line of numpy, in place of threads a timer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, cast

from gateway.api import CenterFailed, ModelMetadata, NdArray, NearwayError, TensorSpec
from gateway.engine import LoadedModel, ModelRepository
from gateway.engine.batching import Batching
from gateway.engine.model_config import ModelConfig, Service
from gateway.engine.repository import _Resident
from gateway.engine.session import OpenedFile
from gateway.engine.warm_up import RunTime
from gateway.testing.adversary.loop import VirtualLoop

MODEL = "triple"
SMALLER = "triple-s"
ROWS_MAX = 8
ELEMENTS_MAX = 1000
COLUMNS = 2
RUN_MS = 1.0
INLINE_SHARE = 0.3
OnDone = Callable[[list[NdArray] | None, Exception | None, float], None]


def tripled(numbers: Sequence[int]) -> list[int]:
    """What the model answers."""
    return [3 * number + 1 for number in numbers]


def _run(_outputs: Sequence[str], inputs: Mapping[str, NdArray], _options: Any) -> list[NdArray]:
    return [inputs["x"] * 3 + 1]


def loaded(name: str, service: Service | None) -> LoadedModel:
    """A model in memory; ``service``: how long it is said to take."""
    inputs = (TensorSpec("x", "INT64", (-1, COLUMNS)),)
    outputs = (TensorSpec("y", "INT64", (-1, COLUMNS)),)
    config = ModelConfig(
        max_batch_size=ROWS_MAX, service=service, smaller=SMALLER if name == MODEL else ""
    )
    return LoadedModel(
        "1",
        Path("nowhere"),
        OpenedFile(_run, inputs, outputs, {}),
        ModelMetadata(name, ("1",), "simulated", inputs, outputs),
        config,
        {},
        RunTime(RUN_MS, 0.0),
        Batching(1 if service is not None else ROWS_MAX, 4.0),
    )


class SimulatedRepository(ModelRepository):
    """The real repository, with models that lie on no disk and load at once."""

    def __init__(self, models: Mapping[str, Service | None]) -> None:
        super().__init__((), tensor_elements_max=ELEMENTS_MAX)
        self._services = dict(models)
        self._folders = {name: Path(name) for name in models}
        for name in models:
            self.load(name)

    def _open(self, folder: Path, _used_by: tuple[str, ...] = ()) -> _Resident:
        model = loaded(folder.name, self._services[folder.name])
        return _Resident(
            latest=model,
            by_version={"1": model},
            signature=cast(Any, ()),
            load_ms=0.0,
            memory_bytes=0,
        )


class SimulatedRunner:
    """Stands for ``Runner``. ``failing``: probability that a run fails by the engine's fault."""

    def __init__(self, loop: VirtualLoop, random: Random) -> None:
        self.failing = 0.0
        self.running = 0
        self._loop = loop
        self._random = random

    def submit(
        self,
        model: LoadedModel,
        inputs: Mapping[str, NdArray],
        outputs: Sequence[str],
        on_done: OnDone,
    ) -> Callable[[], bool]:
        """See ``Runner.submit``."""
        if self._random.random() < INLINE_SHARE:
            on_done(*self._ran(model, inputs, outputs))
            return lambda: False
        begun = False
        self.running += 1

        def begin() -> None:
            nonlocal begun
            begun = True
            self._loop.call_later(RUN_MS * 1e-3, end)

        def end() -> None:
            self.running -= 1
            on_done(*self._ran(model, inputs, outputs))

        def cancel() -> bool:
            if begun:
                return False
            waiting.cancel()
            self.running -= 1
            return True

        waiting = self._loop.call_later(1e-4 * self._random.random(), begin)
        return cancel

    def _ran(
        self, model: LoadedModel, inputs: Mapping[str, NdArray], outputs: Sequence[str]
    ) -> tuple[list[NdArray] | None, Exception | None, float]:
        if self.failing and self._random.random() < self.failing:
            return None, CenterFailed("the engine failed, as the adversary wished"), RUN_MS
        try:
            return model.run(inputs, outputs), None, RUN_MS
        except NearwayError as error:
            return None, error, RUN_MS
