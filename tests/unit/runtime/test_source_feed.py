"""Sources: read, written, versioned; a failing one keeps its last values."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gateway.api import Center, Location, Named, PluginError, Table
from gateway.runtime.source_feed import SourceFeed


class Steps:
    """A source that answers what it is told to, once a millisecond."""

    columns = {"ms": None}  # noqa: RUF012
    period_s = 0.001

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    def read(self, centers: tuple[str, ...], folder: Path) -> Any:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return {"ms": np.asarray(answer, dtype=np.float32)}


def feed(source: Steps) -> tuple[SourceFeed, Table]:
    table = Table([Center(c, c, c, c, "CN", Location(0, 0)) for c in "ab"])
    table.add_column("steps.ms", "f4")
    sources = (Named("steps", source),)
    deciding = SimpleNamespace(router=SimpleNamespace(table=table), sources=sources)
    return SourceFeed(deciding, Path()), table  # type: ignore[arg-type]


async def test_values_are_there_from_the_start() -> None:
    feeding, table = feed(Steps([1, 2]))
    await feeding.start()
    assert table.columns["steps.ms"].tolist() == [1, 2]
    assert table.versions["steps.ms"] == 1
    await feeding.stop()


@pytest.mark.parametrize("wrong", [[1, 2, 3], ValueError("boom"), OSError("gone")])
async def test_a_wrong_source_stops_the_start(wrong: Any) -> None:
    feeding, _ = feed(Steps(wrong))
    with pytest.raises(PluginError, match="steps"):
        await feeding.start()


async def test_a_later_failure_keeps_the_values_and_is_told() -> None:
    import asyncio

    feeding, table = feed(Steps([1, 2], ValueError("boom")))
    await feeding.start()
    for _ in range(200):
        if feeding.errors:
            break
        await asyncio.sleep(0.002)
    assert "boom" in feeding.errors["steps"]
    assert table.columns["steps.ms"].tolist() == [1, 2]
    await feeding.stop()
