"""A model of one's own, from a file to a folder of a repository that serves it.

``add_model`` copies the file, and the weights it keeps beside itself, into ``TO/NAME/1`` (the next
number where the model is there already), opens and measures it as a gateway would, and writes what
was found: ``config.toml``, a first ``card.md`` and, for small inputs, an ``example.json``. All of
it is made in a hidden folder beside and moved in place at the end, so that nothing is left of a
file that cannot be served, and a gateway that watches the folder never sees half of it.
"""

from __future__ import annotations

import json
import mmap
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gateway.api import ConfigError, NdArray, NearwayError, TensorSpec
from gateway.engine.batch_gain import varied_rows
from gateway.engine.first_card import card_text
from gateway.engine.heap import files_bytes, heap_reader, taken_bytes
from gateway.engine.loaded_model import MODEL_FILE, LoadedModel, load_model
from gateway.engine.model_config import CONFIG_FILE, ModelConfig
from gateway.engine.model_file import check_model_file, external_tensors
from gateway.engine.repository import NAME, version_names
from gateway.engine.warm_up import EXAMPLE_FILE, FREE_SIZES, zero_inputs

CARD_FILE = "card.md"
BATCH_MAX = 64
"""What a new config allows a request to bring, where the model takes a batch."""
CLASS_A_MS, CLASS_B_MS = 5.0, 50.0
"""A run up to so long is called class A, or B, in a new config; above it, C."""
EXAMPLE_ELEMENTS_MAX = 4096
ROWS_AGREE = 1e-3
"""Rows of a batch and the same rows alone: relative to the largest value."""

Inputs = Mapping[str, NdArray]


@dataclass(frozen=True, slots=True)
class Added:
    """What was added. ``config``: as it lies there now. ``wrote``: files made for it."""

    folder: Path
    model: LoadedModel
    config: ModelConfig
    load_ms: float
    memory_bytes: int
    file_bytes: int
    wrote: tuple[str, ...]


def add_model(file: Path, name: str, to: Path, *, tensor_elements_max: int) -> Added:
    """Add ``file`` to the repository ``to`` as ``name``.

    Raises ConfigError: the name or the file cannot be, or its config does not fit it; then
    nothing has changed.
    """
    if NAME.fullmatch(name) is None:
        raise ConfigError(
            f"{name[:64]!r} cannot be a model's name; expected letters, digits, '.', '_' and '-'"
        )
    if not file.is_file():
        raise ConfigError(f"{file}: no such file; expected an ONNX model")
    check_model_file(file.parent, file)
    to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".adding-", dir=to) as aside:
        return _Adding(file, to / name, Path(aside) / name, tensor_elements_max).run()


class _Adding:
    """``folder``: where it will lie; ``aside``: where it is made."""

    def __init__(self, file: Path, folder: Path, aside: Path, elements_max: int) -> None:
        self._file = file
        self._folder = folder
        self._aside = aside
        self._elements_max = elements_max
        self._new = not folder.exists()
        there = () if self._new else version_names(folder)
        self._version = str(int(there[-1]) + 1) if there else "1"
        self._wrote: list[str] = []

    def run(self) -> Added:
        version = self._aside / self._version
        version.mkdir(parents=True)
        _copy_model(self._file, version)
        if self._new:
            self._write_config(ModelConfig(max_batch_size=BATCH_MAX))
        else:
            self._copy_what_lies_beside()
        try:
            model, load_ms, memory_bytes = self._load()
        except ConfigError as error:
            if not self._new or "max_batch_size" not in str(error):
                raise ConfigError(self._told(error)) from None
            self._write_config(ModelConfig())
            model, load_ms, memory_bytes = self._load()
        example = _what_runs(model)
        config = model.config
        if self._new:
            batch = example is not None and first_size_is_batch(model, example)
            config = ModelConfig(
                latency_class=_latency_class(model.run_ms),
                max_batch_size=BATCH_MAX if batch else 0,
            )
            self._write_config(config)
            if batch != (model.config.max_batch_size > 0):
                model, load_ms, memory_bytes = self._load()
            self._write_example(model, example)
            self._write(CARD_FILE, card_text(model, memory_bytes, load_ms))
        file_bytes = files_bytes(version)
        self._move()
        return Added(
            self._folder, model, config, load_ms, memory_bytes, file_bytes, tuple(self._wrote)
        )

    # ---- its pieces -----------------------------------------------------------------------

    def _load(self) -> tuple[LoadedModel, float, int]:
        heap_bytes = heap_reader()
        before_bytes = heap_bytes() if heap_bytes is not None else 0
        began_s = time.perf_counter()
        version = self._version
        model = load_model(self._aside, version, (version,), tensor_elements_max=self._elements_max)
        load_ms = (time.perf_counter() - began_s) * 1e3
        grown_bytes = heap_bytes() - before_bytes if heap_bytes is not None else None
        on_disk_bytes = files_bytes(self._aside / version)
        return model, load_ms, taken_bytes(grown_bytes, on_disk_bytes)

    def _copy_what_lies_beside(self) -> None:
        """Config, labels and example of the versions before hold for this one, too."""
        for path in self._folder.iterdir():
            if path.is_file() and path.name != CARD_FILE:
                shutil.copy(path, self._aside / path.name)

    def _write_config(self, config: ModelConfig) -> None:
        self._write(CONFIG_FILE, config_text(config))

    def _write_example(self, model: LoadedModel, example: Inputs | None) -> None:
        if example is None or sum(array.size for array in example.values()) > EXAMPLE_ELEMENTS_MAX:
            return
        specs = model.metadata.inputs
        tensors = [_as_tensor(spec, example[spec.name]) for spec in specs]
        self._write(EXAMPLE_FILE, json.dumps({"inputs": tensors}) + "\n")

    def _write(self, name: str, text: str) -> None:
        (self._aside / name).write_text(text, encoding="utf-8")
        if name not in self._wrote:
            self._wrote.append(name)

    def _move(self) -> None:
        if self._new:
            self._aside.rename(self._folder)
        else:
            (self._aside / self._version).rename(self._folder / self._version)

    def _told(self, error: ConfigError) -> str:
        """The error with the folder the user knows."""
        return str(error).replace(str(self._aside), str(self._folder))


def _copy_model(file: Path, version: Path) -> None:
    """The file, and every file that it keeps weights in, at the same place beside it."""
    shutil.copy(file, version / MODEL_FILE)
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as held:
        said = list(external_tensors(file, held, len(held)))
    for location in {one.get("location", "") for one in said}:
        there = version / location
        if not there.exists():
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file.parent / location, there)


def _what_runs(model: LoadedModel) -> Inputs | None:
    """The smallest zeros that the model takes."""
    outputs = [spec.name for spec in model.metadata.outputs]
    for size in FREE_SIZES:
        inputs = zero_inputs(model.metadata.inputs, size)
        try:
            model.run(inputs, outputs)
        except NearwayError:
            continue
        return inputs
    return None


def first_size_is_batch(model: LoadedModel, example: Inputs) -> bool:
    """Is a row of three, run together, what it is alone? Then requests may bring many.

    ``example``: inputs of one row that run.
    """
    specs = (*model.metadata.inputs, *model.metadata.outputs)
    if any(spec.shape[:1] != (-1,) for spec in specs):
        return False
    outputs = [spec.name for spec in model.metadata.outputs]
    rows = varied_rows(example, 3)
    try:
        together = model.run(rows, outputs)
        alone = [
            model.run({name: array[at : at + 1] for name, array in rows.items()}, outputs)
            for at in range(3)
        ]
    except NearwayError:
        return False
    return all(_agree(array, [one[at] for one in alone]) for at, array in enumerate(together))


def _agree(together: NdArray, alone: list[NdArray]) -> bool:
    if len(together) != 3 or any(one.shape != (1, *together.shape[1:]) for one in alone):
        return False
    single = np.concatenate(alone)
    if together.dtype.kind != "f":
        return bool(np.array_equal(together, single))
    largest = float(np.max(np.abs(single), initial=0.0))
    return bool(np.allclose(together, single, rtol=0, atol=ROWS_AGREE * largest, equal_nan=True))


def _latency_class(run_ms: float) -> Any:
    return "A" if run_ms <= CLASS_A_MS else "B" if run_ms <= CLASS_B_MS else "C"


def config_text(config: ModelConfig) -> str:
    """A first ``config.toml``."""
    return (
        '# See "Models of your own" in the documentation for every key.\n'
        'description = ""  # what the answer is good for\n'
        f'latency_class = "{config.latency_class}"  # A: at once; B; C: work that can wait\n'
        f"max_batch_size = {config.max_batch_size}  # 0: the first size is no batch\n"
    )


def _as_tensor(spec: TensorSpec, array: NdArray) -> dict[str, Any]:
    data = [item.decode() if isinstance(item, bytes) else item for item in array.ravel().tolist()]
    return {
        "name": spec.name,
        "shape": list(array.shape),
        "datatype": spec.datatype,
        "data": data,
    }
