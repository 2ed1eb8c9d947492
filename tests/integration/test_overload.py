"""Three times what the fleet can do, on a real gateway: who is answered, who is refused and how.

Nothing here asserts a time; the floors that are ratios stand in the soak.
"""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from bench.overload.judging import class_floors, class_streams, tenant_floors, tenant_streams
from bench.overload.measuring import Episode, Stream, play
from bench.overload.scene import CAPACITY_PER_S


def shares(episode: Episode, phase: int) -> dict[str, float]:
    return {name: float(episode.phase(name, phase).answered.mean()) for name in episode.samples}


def test_the_lower_class_is_refused_and_the_higher_is_answered() -> None:
    streams = [
        Stream(one.name, (one.rates[0], one.rates[1] / 2.0), one.headers)
        for one in class_streams(CAPACITY_PER_S)
    ]
    episode = asyncio.run(play(streams, (1.5, 3.0), warm_s=1.0))
    told = shares(episode, 1)
    assert told["priority 1"] > told["default"] + 0.2
    assert set(np.unique(episode.samples["default"].status).tolist()) <= {200, 503}
    assert told["priority 1"] > 0.9
    assert episode.bare is not None
    assert set(episode.bare.status.tolist()) == {503}
    state = episode.admission
    assert (state["in_flight"], state["bodies_bytes"]) == (0, 0)
    assert state["classes_about"] == [1, 2]
    refused = int((episode.samples["default"].status == 503).sum())
    assert sum(state["refused"]["waiting"].values()) >= refused > 0


@pytest.mark.soak
def test_a_minute_of_overload() -> None:
    episode = asyncio.run(play(class_streams(CAPACITY_PER_S), (10.0, 60.0, 6.0)))
    floors = [floor for floor in class_floors(episode) if not floor.name.endswith("ms")]
    assert [floor for floor in floors if not floor.holds] == []


@pytest.mark.soak
def test_a_minute_of_one_tenant() -> None:
    episode = asyncio.run(play(tenant_streams(CAPACITY_PER_S), (10.0, 60.0, 6.0)))
    assert [floor for floor in tenant_floors(episode) if not floor.holds] == []
