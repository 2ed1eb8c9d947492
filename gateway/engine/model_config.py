"""``config.toml`` of a model, and its label files.

    description = "What the answer is good for"
    latency_class = "A"        # A, B or C; see the card
    max_batch_size = 64        # 0: the first dimension is not a batch

    [labels]
    state = "labels_state.txt" # output = file, a label a line

    [service]                  # optional: emulate a slower model
    median_ms = 4.0
    sigma = 0.3                # of the log-normal distribution

Every key has a default and the file may be absent; what is there must be right.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from gateway.api import ConfigError, TensorSpec
from gateway.config.settings import NonNegative, Positive, Section

CONFIG_FILE = "config.toml"


class Service(Section, frozen=True):
    """A log-normal service time to emulate: median in ms, sigma of the logarithm."""

    median_ms: Positive
    sigma: NonNegative = 0.0

    @property
    def mean_ms(self) -> float:
        """The mean of the distribution."""
        return self.median_ms * math.exp(self.sigma**2 / 2.0)


class ModelConfig(Section, frozen=True):
    """What the operator says of a model; the rest is discovered from the file."""

    description: str = ""
    latency_class: Literal["A", "B", "C"] = "B"
    max_batch_size: Annotated[int, Meta(ge=0)] = 0
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    service: Service | None = None


def read_model_config(folder: Path) -> ModelConfig:
    """The config in ``folder``; the defaults when there is none. Raises ConfigError."""
    path = folder / CONFIG_FILE
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), ModelConfig)
    except FileNotFoundError:
        return ModelConfig()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as UTF-8 text: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
    except msgspec.ValidationError as error:
        known = ", ".join(ModelConfig.__struct_fields__)
        raise ConfigError(f"{path}: {error}; known keys: {known}") from None


def check_batch(path: Path, config: ModelConfig, inputs: Sequence[TensorSpec]) -> None:
    """Raises ConfigError when a batch is declared that the model cannot take."""
    if config.max_batch_size == 0:
        return
    fixed = next((spec for spec in inputs if not spec.shape or spec.shape[0] >= 0), None)
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
        lines = (folder / file).read_text("utf-8").splitlines()
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
