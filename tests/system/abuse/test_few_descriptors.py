"""A gateway that may open few files, under more connections than that."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bench.abuse.attacks import one_good
from bench.abuse.target import descriptors_of, is_alive, serving
from bench.abuse.wire import Client, connect, open_many, post

FILES_MAX = 400
CONFIG = """
[models]
shipped = false
dirs = ["models"]

[server]
lane = "{lane}"
"""


@pytest.mark.parametrize("lane", ["hot", "aiohttp"])
def test_idle_ones_make_room_and_it_never_runs_out(tmp_path: Path, lane: str) -> None:
    with serving(tmp_path, CONFIG.format(lane=lane), files_max=FILES_MAX) as target:
        told = (tmp_path / "log.txt").read_text()
        assert f"may open {FILES_MAX} files" in told

        async def attack() -> tuple[str, str]:
            idle: list[Client] = []
            busy = await connect(target)
            data = post(b"{}")
            await busy.send(data[:20])
            for _ in range(12):
                idle += await open_many(target, 40)
                await asyncio.sleep(0.15)
                assert descriptors_of(target.pid) < FILES_MAX
            good = await one_good(target)
            await busy.send(data[20:])
            status = await busy.status()
            for client in (busy, *idle):
                client.reset()
            return good, status

        assert asyncio.run(attack()) == ("200", "400")
        assert is_alive(target)
