"""Counters of one model version in the form of Triton's statistics extension."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

BATCH_SIZES_MAX = 128
"""Batch sizes counted apart; the client chooses them, so there must be an end."""


class ModelStatistics:
    """Cumulative counts and durations since the model was loaded. One thread writes."""

    def __init__(self, wall_clock: Callable[[], float] = time.time) -> None:
        self._wall_clock = wall_clock
        self._last_s = 0.0
        self._inferences = 0
        self._successes = 0
        self._executions = 0
        self._failures = 0
        self._failed_s = 0.0
        self._queue_s = 0.0
        self._input_s = 0.0
        self._infer_s = 0.0
        self._output_s = 0.0
        self._batches: dict[int, list[float]] = {}
        self._hits = self._misses = 0
        self._hit_s = self._missed_s = 0.0

    def record(
        self,
        *,
        queue_s: float,
        input_s: float,
        infer_s: float,
        output_s: float,
        batch: int,
        requests: int = 1,
    ) -> None:
        """One run of ``batch`` examples that answered ``requests``.

        ``infer_s`` is the run's time, which each of them took; the other times are summed over
        them.
        """
        self._last_s = self._wall_clock()
        self._executions += 1
        self._successes += requests
        self._inferences += batch
        self._queue_s += queue_s
        self._input_s += input_s
        self._infer_s += infer_s * requests
        self._output_s += output_s
        sums = self._batches.get(batch)
        if sums is None:
            if len(self._batches) >= BATCH_SIZES_MAX:
                return
            sums = self._batches[batch] = [0.0, 0.0, 0.0, 0.0]
        sums[0] += 1
        sums[1] += input_s
        sums[2] += infer_s
        sums[3] += output_s

    def record_failure(self, *, total_s: float) -> None:
        """One request that the model could not answer."""
        self._failures += 1
        self._failed_s += total_s

    def record_lookup(self, *, hit: bool, took_s: float) -> None:
        """One request for which a kept answer was looked for."""
        if hit:
            self._hits += 1
            self._hit_s += took_s
        else:
            self._misses += 1
            self._missed_s += took_s

    def as_triton(self, name: str, version: str) -> dict[str, Any]:
        """An entry of ``model_stats``: counts, nanoseconds, milliseconds since the epoch."""
        count = self._successes
        total_s = self._queue_s + self._input_s + self._infer_s + self._output_s
        return {
            "name": name,
            "version": version,
            "last_inference": round(self._last_s * 1e3),
            "inference_count": self._inferences,
            "execution_count": self._executions,
            "inference_stats": {
                "success": _duration(count, total_s),
                "fail": _duration(self._failures, self._failed_s),
                "queue": _duration(count, self._queue_s),
                "compute_input": _duration(count, self._input_s),
                "compute_infer": _duration(count, self._infer_s),
                "compute_output": _duration(count, self._output_s),
                "cache_hit": _duration(self._hits, self._hit_s),
                "cache_miss": _duration(self._misses, self._missed_s),
            },
            "batch_stats": [
                {
                    "batch_size": batch,
                    "compute_input": _duration(int(sums[0]), sums[1]),
                    "compute_infer": _duration(int(sums[0]), sums[2]),
                    "compute_output": _duration(int(sums[0]), sums[3]),
                }
                for batch, sums in sorted(self._batches.items())
            ],
        }


def _duration(count: int, total_s: float) -> dict[str, int]:
    return {"count": count, "ns": round(total_s * 1e9)}
