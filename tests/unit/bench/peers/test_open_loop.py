"""The open loop: turns, and a plan that is the same for every peer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.peers.open_loop import WARM_UP_S, Asking, generate, write_plan_request
from bench.peers.workload import json_request


@pytest.mark.parametrize(("seconds", "blocks"), [(60.0, 6), (10.0, 1), (4.0, 1), (25.0, 2)])
def test_a_minute_is_turns_of_about_ten_seconds(seconds: float, blocks: int) -> None:
    asking = Asking(1000.0, seconds, json_request())
    assert asking.blocks == blocks
    assert asking.blocks * asking.block_s == pytest.approx(seconds)


def test_every_peer_of_a_turn_meets_the_same_instants(tmp_path: Path) -> None:
    asked = json_request()
    write_plan_request(asked, tmp_path)
    first, second = (generate(port, tmp_path, 500.0, 2.0, seed=3) for port in (9001, 9002))
    assert np.array_equal(first.times_s, second.times_s)
    assert first.times_s.max() < WARM_UP_S + 2.0
    assert (first.path, first.body, first.origins) == (asked.path, asked.body, asked.origins)
    assert first.origin.max() < len(asked.origins)
    assert not np.array_equal(first.times_s, generate(9001, tmp_path, 500.0, 2.0, 4).times_s)
