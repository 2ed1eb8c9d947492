"""``config.toml`` of a model, and its label files.

    description = "What the answer is good for"
    latency_class = "A"        # A, B or C; see the card
    max_batch_size = 64        # 0: the first dimension is not a batch
    industry = "steel"         # whose work it does
    scenarios = ["hot metal two hours ahead"]
    smaller = "heat-s"         # a model with the same inputs and outputs that runs sooner
    optional_inputs = ["bias"] # of those the file has a value for, those a request may give
    context_tokens = 1024      # of a model that continues text: prompt and answer together

    [labels]
    state = "labels_state.txt" # output = file, a label a line

    [versions]                 # which of those on disk are served; all unless told
    latest = 2                 # so many, those of the highest numbers; or
    only = [1, 3]              # these

    [session]                  # how onnxruntime runs it
    threads = 2                # of one run
    graph_level = "extended"   # how far the graph is rewritten: off, basic, extended, all
    arena = false              # memory of a run is kept for the next one
    memory_pattern = false     # where in it the tensors lie is remembered by shape
    providers = ["CUDAExecutionProvider", "CPUExecutionProvider"]   # first that can, runs it

    [service]                  # optional: emulate a slower model
    median_ms = 4.0
    sigma = 0.3                # of the log-normal distribution
    stall_share = 0.005        # so many of the runs take
    stall_factor = 30.0        # so many times as long

Every key has a default and the file may be absent; what is there must be right.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from gateway.api import ConfigError, TensorSpec
from gateway.config.settings import NonNegative, Positive, Section, Share
from gateway.config.toml_file import parse_toml
from gateway.engine.ensemble_config import Ensemble
from gateway.engine.inside import read_inside
from gateway.engine.triton_pbtxt import read_pbtxt

CONFIG_FILE = "config.toml"
CONFIG_BYTES_MAX = 256 * 1024
LABELS_BYTES_MAX = 16 * 1024 * 1024


class Service(Section, frozen=True):
    """A log-normal service time to emulate: median in ms, sigma of the logarithm.

    A share ``stall_share`` of the runs takes ``stall_factor`` times as long.
    """

    median_ms: Positive
    sigma: NonNegative = 0.0
    stall_share: Share = 0.0
    stall_factor: Annotated[float, Meta(ge=1.0, le=1e4)] = 1.0

    @property
    def mean_ms(self) -> float:
        """The mean of the distribution."""
        stalls = 1.0 + self.stall_share * (self.stall_factor - 1.0)
        return self.median_ms * math.exp(self.sigma**2 / 2.0) * stalls

    def draw_ms(self, random: Random) -> float:
        """One run's time."""
        drawn_ms = self.median_ms * random.lognormvariate(0.0, self.sigma)
        if self.stall_share and random.random() < self.stall_share:
            drawn_ms *= self.stall_factor
        return drawn_ms


class Versions(Section, frozen=True):
    """Which versions on disk are served: the ``latest`` so many, ``only`` these, else all."""

    latest: Annotated[int, Meta(ge=0)] = 0
    only: tuple[Annotated[int, Meta(ge=1)], ...] = ()

    def chosen(self, on_disk: Sequence[str]) -> tuple[str, ...]:
        """Of the numbers ``on_disk``, in their order; those of ``only`` that are not there are not
        in it.
        """
        if self.latest:
            return tuple(on_disk[-self.latest :])
        only = {str(number) for number in self.only}
        return tuple(version for version in on_disk if version in only or not only)


class Session(Section, frozen=True):
    """Options of a model's onnxruntime sessions. ``providers``: the CPU's where empty.

    One ``thread`` a run is the default, because a center runs many requests at once.
    """

    threads: Annotated[int, Meta(ge=1, le=256)] = 1
    graph_level: Literal["off", "basic", "extended", "all"] = "all"
    arena: bool = True
    memory_pattern: bool = True
    providers: tuple[str, ...] = ()


class Cached(Section, frozen=True):
    """Whether answers are kept for those who ask the same, and how much of them; see
    ``response_cache``.
    """

    enable: bool = False
    bytes_max: Annotated[int, Meta(ge=1024, le=1 << 40)] = 64 * 1024 * 1024


class ModelConfig(Section, frozen=True):
    """What the operator says of a model; the rest is discovered from the file."""

    description: str = ""
    latency_class: Literal["A", "B", "C"] = "B"
    max_batch_size: Annotated[int, Meta(ge=0)] = 0
    industry: str = ""
    scenarios: tuple[Annotated[str, Meta(min_length=1)], ...] = ()
    smaller: str = ""
    context_tokens: Annotated[int, Meta(ge=16, le=1_048_576)] = 1024
    optional_inputs: tuple[str, ...] = ()
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    versions: Versions = Versions()
    session: Session = Session()
    service: Service | None = None
    response_cache: Cached = Cached()
    ensemble: Ensemble | None = None


def read_model_config(folder: Path) -> ModelConfig:
    """The config in ``folder``; the defaults when there is none. Raises ConfigError.

    What Triton's ``config.pbtxt`` says counts where ``config.toml`` does not say it.
    """
    path = folder / CONFIG_FILE
    triton = read_pbtxt(folder)
    config = ModelConfig()
    if triton is not None:
        config = _converted(triton.keys, triton.path)
    try:
        text = read_inside(folder, CONFIG_FILE, CONFIG_BYTES_MAX).decode()
    except FileNotFoundError:
        return config
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: cannot be read as UTF-8 text: {error}") from None
    keys = parse_toml(text, str(path))
    config = _converted({**triton.keys, **keys} if triton is not None else keys, path)
    if config.versions.latest and config.versions.only:
        raise ConfigError(f"{path}: versions has both latest and only; expected one of them")
    return config


def _converted(keys: Mapping[str, Any], path: Path) -> ModelConfig:
    try:
        return msgspec.convert(keys, ModelConfig)
    except msgspec.ValidationError as error:
        known = ", ".join(ModelConfig.__struct_fields__)
        raise ConfigError(f"{path}: {error}; known keys: {known}") from None


def served_versions(folder: Path, config: ModelConfig, on_disk: Sequence[str]) -> tuple[str, ...]:
    """The versions to serve, lowest number first. Raises ConfigError when one is not on disk."""
    missing = [str(number) for number in config.versions.only if str(number) not in on_disk]
    if missing:
        raise ConfigError(
            f"{folder / CONFIG_FILE}: versions.only names {missing[0]}, which is not there; "
            f"versions on disk: {', '.join(on_disk) or 'none'}"
        )
    return config.versions.chosen(on_disk)


def check_batch(path: Path, config: ModelConfig, inputs: Sequence[TensorSpec]) -> None:
    """Raises ConfigError when a batch is declared that the model cannot take."""
    if config.max_batch_size == 0:
        return
    taken = (spec for spec in inputs if not spec.optional)
    fixed = next((spec for spec in taken if not spec.shape or spec.shape[0] >= 0), None)
    if fixed is not None:
        raise ConfigError(
            f"{path}: max_batch_size = {config.max_batch_size}, but input {fixed.name!r} has the "
            f"fixed shape {list(fixed.shape)}; set it to 0, or export the model with a free "
            "first dimension"
        )


def read_labels(
    folder: Path, config: ModelConfig, outputs: Sequence[TensorSpec]
) -> dict[str, tuple[str, ...]]:
    """Labels by output name, one a class. Raises ConfigError when they do not fit the output."""
    specs = {spec.name: spec for spec in outputs}
    return {
        output: _read_label_file(folder, output, file, specs)
        for output, file in config.labels.items()
    }


def _read_label_file(
    folder: Path, output: str, file: str, specs: Mapping[str, TensorSpec]
) -> tuple[str, ...]:
    where = f"{folder / CONFIG_FILE}: labels.{output} = {file!r}"
    if output not in specs:
        raise ConfigError(f"{where}: no such output; the model gives {', '.join(specs)}")
    if Path(file).name != file:
        raise ConfigError(f"{where}: expected the name of a file in the model's own folder")
    try:
        lines = read_inside(folder, file, LABELS_BYTES_MAX).decode().splitlines()
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{where}: cannot be read as UTF-8 text: {error}") from None
    classes = class_count(specs[output])
    if classes is not None and len(lines) != classes:
        raise ConfigError(
            f"{where}: {len(lines)} labels, but output {output!r} has {classes} classes; "
            "expected one label a line for each"
        )
    return tuple(lines)


def class_count(spec: TensorSpec) -> int | None:
    """Elements of one example: all but a free first dimension; None when another is free."""
    sizes = spec.shape[1:] if len(spec.shape) > 1 and spec.shape[0] < 0 else spec.shape
    return None if any(size < 0 for size in sizes) else math.prod(sizes)
