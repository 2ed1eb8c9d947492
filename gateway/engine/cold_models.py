"""Models that are served though they are not in memory: their first request loads them.

What routing must know of such a model is how long a run takes and how long the load would. Both
are known from the last time it was in memory; before that they are priors: a run of
``UNKNOWN_RUN_MS``, or the declared service time, and a load by the size of the files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.engine.heap import FACTOR, files_bytes
from gateway.engine.model_config import ModelConfig, read_model_config, served_versions

UNKNOWN_RUN_MS = 5.0
LOAD_MS = 250.0
LOAD_MS_PER_MB = 10.0
"""Session, warm-up and the measuring of a batch; generous, since an attempt waits by it."""


@dataclass(frozen=True, slots=True)
class ColdModel:
    """``load_ms``: what a request waits for it. ``measured``: it was in memory before."""

    config: ModelConfig
    run_ms: float
    load_ms: float
    memory_bytes: int
    measured: bool = False


def cold_model(folder: Path, versions: Sequence[str]) -> ColdModel:
    """Priors for a model that nobody has loaded yet; ``versions``: those on disk.

    Raises ConfigError for its config.
    """
    config = read_model_config(folder)
    served = served_versions(folder, config, versions)
    on_disk_bytes = sum(files_bytes(folder / version) for version in served)
    run_ms = config.service.mean_ms if config.service is not None else UNKNOWN_RUN_MS
    load_ms = LOAD_MS + LOAD_MS_PER_MB * on_disk_bytes / 1e6
    return ColdModel(config, run_ms, load_ms, int(FACTOR * on_disk_bytes))
