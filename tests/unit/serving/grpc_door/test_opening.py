"""Nothing of the extra is asked for before the door is; what is missing is told with the fix."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import pytest

from gateway.api import ConfigError
from gateway.serving.grpc_door import open_grpc_door


async def test_without_the_extra_the_fix_is_told(
    make_front: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in tuple(sys.modules):
        if name.startswith("gateway.serving.grpc_door.") and not name.endswith(".opening"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "hpack", None)
    front = make_front(server={"grpc_port": 9000})
    with pytest.raises(ConfigError, match=r"grpc_port = 9000 .*pip install 'nearway\[grpc\]'"):
        open_grpc_door(front, asyncio.get_running_loop())


def test_a_gateway_without_the_door_imports_nothing_of_the_extra() -> None:
    program = (
        "import sys, gateway.runtime.gateway, gateway.serving.grpc_door\n"
        "sys.exit(any(n.split('.')[0] in ('grpc', 'google', 'hpack') for n in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_the_door_itself_needs_no_library_of_grpcs() -> None:
    program = (
        "import sys\n"
        "for name in ('grpc', 'grpc_health', 'grpc_reflection', 'h2'): sys.modules[name] = None\n"
        "import gateway.serving.grpc_door.door"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


async def test_with_it_there_is_a_door(make_front: Any) -> None:
    door = open_grpc_door(make_front(), asyncio.get_running_loop())
    address = await door.listen("127.0.0.1", 0)
    assert address.startswith("127.0.0.1:")
    await door.close(0.0)
