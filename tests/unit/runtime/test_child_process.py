"""A child's process: what it says when it cannot start, and that it can be ended."""

from pathlib import Path

import msgspec
import pytest

from gateway.config import Settings, load_settings
from gateway.config.settings import FleetChoice
from gateway.fleet.shared_table import TableSize
from gateway.runtime.child_process import ChildLost, start_centers, start_worker
from gateway.runtime.shared_memory import SharedMemory
from gateway.runtime.worker_channel import Hello, HostCenters, Stop

SIZE = TableSize(3, 1, 1, 1)


def hello(memory: SharedMemory, settings: Settings) -> Hello:
    table = (SIZE.centers, SIZE.seats, SIZE.vantages, SIZE.models)
    told = msgspec.to_builtins(settings)
    return Hello(told, 0, table, memory.descriptor, (), (), "/none", "/none/0", "/none/s")


async def test_what_a_worker_says_before_it_ends_is_heard() -> None:
    memory = SharedMemory.make(SIZE.bytes)
    wrong = Settings(fleet=FleetChoice(file="nowhere.toml"))
    worker = (await start_worker(0, hello(memory, wrong))).process
    with pytest.raises(ChildLost, match=r"nowhere\.toml"):
        await worker.wait_ready()
    assert await worker.ended() == 1
    assert worker.models == ()
    memory.close_descriptor()


async def test_a_worker_that_does_not_end_is_killed() -> None:
    memory = SharedMemory.make(SIZE.bytes)
    worker = (await start_worker(0, hello(memory, Settings()))).process
    assert await worker.end(within_s=0.0) == -9
    with pytest.raises(ChildLost, match="worker 0"):
        await worker.ask("GET", "/state")
    await worker.end(within_s=0.0)
    memory.close_descriptor()


async def test_the_centers_say_why_they_cannot_be_hosted(tmp_path: Path) -> None:
    settings = msgspec.to_builtins(load_settings(None, {"fleet.file": "nowhere.toml"}).settings)
    centers = await start_centers(HostCenters(settings, str(tmp_path / "centers")))
    with pytest.raises(ChildLost, match=r"nowhere\.toml"):
        await centers.wait_ready()
    assert list(tmp_path.iterdir()) == []


async def test_hosted_centers_have_an_admin_door_and_end_when_told(tmp_path: Path) -> None:
    settings = msgspec.to_builtins(load_settings(None, {"fleet.sites": "core"}).settings)
    centers = await start_centers(HostCenters(settings, str(tmp_path / "centers")))
    await centers.wait_ready()
    assert "grid-load" in centers.models
    faults = await centers.ask("GET", "/faults")
    assert (faults.status, msgspec.json.decode(faults.body)["faults"]) == (200, [])
    centers.tell(Stop())
    assert await centers.end(within_s=20.0) == 0
    assert list(tmp_path.iterdir()) == []
