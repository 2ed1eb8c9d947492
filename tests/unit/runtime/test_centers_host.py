"""The host of the centers ends with its supervisor, and takes nothing but its own message."""

import asyncio
import socket
from pathlib import Path

import msgspec

from gateway.config import load_settings
from gateway.runtime import centers_host
from gateway.runtime.worker_channel import Channel, Failed, HostCenters, Ready, Stop


async def pair() -> tuple[Channel, socket.socket]:
    ours, its = socket.socketpair()
    return await Channel.over(ours), its


def told(path: Path, **flags: object) -> HostCenters:
    flags = {"fleet.sites": "core", "models.shipped": False, **flags}
    return HostCenters(msgspec.to_builtins(load_settings(None, flags).settings), str(path))


async def test_another_message_first_is_refused() -> None:
    channel, its = await pair()
    channel.tell(Stop())
    assert await centers_host._host(its) != 0
    channel.close()


async def test_a_wrong_fleet_is_told(tmp_path: Path) -> None:
    channel, its = await pair()
    channel.tell(told(tmp_path / "s", **{"fleet.file": "nowhere.toml"}))
    assert await centers_host._host(its) != 0
    (said,) = [said async for said in channel.to_supervisor()]
    assert isinstance(said, Failed)
    assert "nowhere.toml" in said.message
    channel.close()


async def test_it_ends_when_its_supervisor_is_gone(tmp_path: Path) -> None:
    channel, its = await pair()
    channel.tell(told(tmp_path / "s"))
    hosting = asyncio.create_task(centers_host._host(its), name="host")
    said = await anext(channel.to_supervisor())
    assert isinstance(said, Ready)
    assert said.centers > 1
    assert (tmp_path / "s").is_socket()
    channel.close()
    assert await hosting == 0
    assert list(tmp_path.iterdir()) == []
