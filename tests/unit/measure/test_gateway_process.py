"""A gateway in a process of its own, played by a small script."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.api import ConfigError
from gateway.config import load_settings
from gateway.measure.gateway_process import GatewayDied, GatewayOptions, GatewayProcess

ANNOUNCE = """
import json, os, pathlib, signal, sys, time
announce = sys.argv[sys.argv.index("--announce") + 1]
{before}
told = {{"url": "http://127.0.0.1:1", "admin_url": "http://127.0.0.1:2", "pid": os.getpid()}}
part = pathlib.Path(announce + ".part")
part.write_text(json.dumps(told))
part.replace(announce)
{after}
"""
WAIT = "signal.pause()"


def played(folder: Path, *, before: str = "", after: str = WAIT) -> tuple[str, str]:
    script = folder / "gateway.py"
    script.write_text(ANNOUNCE.format(before=before, after=after))
    return (sys.executable, str(script))


def is_running(pid: int) -> bool:
    """False once it has ended, reaped or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_it_tells_its_addresses_and_is_gone_afterwards(tmp_path: Path) -> None:
    async with GatewayProcess(GatewayOptions(), command=played(tmp_path)) as process:
        assert process.url == "http://127.0.0.1:1"
        assert process.admin_url == "http://127.0.0.1:2"
        assert is_running(process.pid)
        process.check_alive()
    assert not is_running(process.pid)


async def test_it_is_ended_when_the_block_raises(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        async with GatewayProcess(GatewayOptions(), command=played(tmp_path)) as process:
            raise KeyError
    assert not is_running(process.pid)


async def test_one_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    deaf = played(
        tmp_path,
        before="signal.signal(signal.SIGTERM, signal.SIG_IGN)",
        after="\nwhile True: signal.pause()",
    )
    async with GatewayProcess(GatewayOptions(), command=deaf, stop_wait_s=0.05) as process:
        pass
    assert not is_running(process.pid)


async def test_one_that_ends_while_starting_says_what_it_printed(tmp_path: Path) -> None:
    broken = played(tmp_path, before="sys.exit('error ConfigError: port 80 is taken')")
    with pytest.raises(ConfigError, match=r"code 1 while starting; it printed:\n.*port 80"):
        async with GatewayProcess(GatewayOptions(), command=broken):
            pytest.fail("it never came up")


async def test_one_that_never_announces_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    silent = played(tmp_path, before=WAIT)
    with pytest.raises(ConfigError, match=r"not ready within 0.1 s; it printed nothing"):
        async with GatewayProcess(GatewayOptions(), command=silent, start_wait_s=0.1):
            pytest.fail("it never came up")


async def test_a_command_that_does_not_exist_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be started"):
        async with GatewayProcess(GatewayOptions(), command=(str(tmp_path / "none"),)):
            pytest.fail("it never came up")


async def test_one_that_dies_meanwhile_is_noticed(tmp_path: Path) -> None:
    brief = played(tmp_path, after="print('out of memory'); sys.exit(9)")
    async with GatewayProcess(GatewayOptions(), command=brief) as process:
        async with asyncio.timeout(10):
            while is_running(process.pid):
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        with pytest.raises(GatewayDied, match=r"code 9 meanwhile; it printed:\nout of memory"):
            process.check_alive()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a signal of Linux's kernel")
def test_it_dies_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    command = played(tmp_path)
    parent = f"""
import asyncio, os, signal
from gateway.measure.gateway_process import GatewayOptions, GatewayProcess
async def main():
    async with GatewayProcess(GatewayOptions(), command={command!r}) as process:
        print(process.pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    ended = subprocess.run([sys.executable, "-c", parent], stdout=subprocess.PIPE, timeout=30)
    pid = int(ended.stdout)
    until_s = time.monotonic() + 10
    while is_running(pid) and time.monotonic() < until_s:
        os.sched_yield()
    assert not is_running(pid)


def test_the_config_it_writes_is_one_the_gateway_reads(tmp_path: Path) -> None:
    fleet = tmp_path / 'flöte "1".toml'
    options = GatewayOptions(
        sites="core",
        fleet=fleet,
        models=(tmp_path,),
        profile="premium",
        seed=7,
        jitter=False,
        policy="nearest",
        gateway_delay_ms=2.0,
    )
    file = tmp_path / "gateway.toml"
    file.write_text(options.toml(), encoding="utf-8")
    settings = load_settings(file).settings
    assert (settings.server.port, settings.server.admin_port) == (0, 0)
    assert (settings.fleet.sites, settings.fleet.file) == ("core", str(fleet))
    assert settings.models.dirs == (str(tmp_path),)
    assert (settings.network.profile, settings.network.seed) == ("premium", 7)
    assert not settings.network.jitter
    assert settings.routing.policy == "nearest"
    assert settings.planted.gateway_delay_ms == 2.0


def test_the_defaults_are_the_gateways_own(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(GatewayOptions().toml(), encoding="utf-8")
    ours, theirs = load_settings(file).settings, load_settings().settings
    assert ours.network == theirs.network
    assert ours.fleet == theirs.fleet
    assert ours.routing == theirs.routing
