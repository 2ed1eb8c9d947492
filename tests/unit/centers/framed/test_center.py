"""The port of one row: it names its center and the vantage, and reads the replies."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from gateway.api import Center, CenterDown, Location, ModelMetadata, TensorSpec
from gateway.centers import Attempt, ModelState
from gateway.centers.framed import FramedCenter
from gateway.wire.frames import ProtocolError

CENTER = Center("cn-a", "cn", "cn-a", "Wuhu", "CN", Location(31.3, 118.4), url="nearway://h:1")


class FakeConnection:
    name = "nearway://h:1"
    emulates: bool | None = False

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.reply: Any = None

    def serves(self, center: str, row: int) -> None:
        self.calls.append(("serves", center, row))

    def start(self, *told: Any) -> str:
        self.calls.append(("start", *told))
        return "call"

    def refuse(self, center: str, _attempt: Attempt, _on_event: Any, why: str) -> str:
        self.calls.append(("refuse", center, why))
        return "refused"

    def probe(self, *told: Any) -> None:
        self.calls.append(("probe", *told))

    async def ask(self, *told: Any) -> bytes:
        self.calls.append(("ask", *told))
        return msgspec.msgpack.encode(self.reply)


def made(center: Center = CENTER) -> tuple[FramedCenter, FakeConnection]:
    connection: Any = FakeConnection()
    port = FramedCenter(7, replace(center, emulate=center.emulate), connection, ("Here", "There"))
    return port, connection


ATTEMPT = Attempt("r", 1, "m", "", b"", None, 1.0)


def test_it_is_registered_and_names_center_and_vantage() -> None:
    port, connection = made(replace(CENTER, emulate="none"))
    assert port.start(ATTEMPT, print) == "call"
    port.probe(0, print)
    assert connection.calls == [
        ("serves", "cn-a", 7),
        ("start", "cn-a", "There", ATTEMPT, print),
        ("probe", "cn-a", "Here", print),
    ]


@pytest.mark.parametrize(
    ("declared", "does", "words"),
    [
        ("center", False, "start it with --emulate-wan"),
        ("none", True, 'say emulate = "center"'),
    ],
)
def test_both_ends_agree_on_who_emulates(declared: Any, does: bool, words: str) -> None:
    port, connection = made(replace(CENTER, emulate=declared))
    connection.emulates = does
    assert port.start(ATTEMPT, print) == "refused"
    assert words in connection.calls[-1][2]
    connection.emulates = not does
    assert port.start(ATTEMPT, print) == "call"
    connection.emulates = None
    assert port.start(ATTEMPT, print) == "call"


async def test_questions_and_their_types() -> None:
    port, connection = made()
    told = ModelMetadata("m", ("1",), "onnx", (TensorSpec("x", "FP32", (-1, 4)),), ())
    for reply, asked, verb in (
        ([{"name": "m", "version": "1", "state": "READY", "reason": ""}], port.index(), "index"),
        (told, port.metadata("m", "1"), "metadata"),
        (True, port.ready("m", "1"), "ready"),
        ({"max_batch_size": 4}, port.config("m", "1"), "config"),
        ([{"name": "m"}], port.statistics("m", "1"), "statistics"),
    ):
        connection.reply = reply
        found = await asked
        assert connection.calls[-1][:3] == ("ask", verb, "cn-a")
        if verb == "index":
            assert found == (ModelState("m", "1", "READY"),)
        else:
            assert found == reply
    connection.reply = None
    await port.load("m")
    await port.unload("m")
    assert [call[1:] for call in connection.calls[-2:]] == [
        ("load", "cn-a", "m"),
        ("unload", "cn-a", "m"),
    ]


async def test_a_reply_of_the_wrong_type_is_refused() -> None:
    port, connection = made()
    connection.reply = "yes"
    with pytest.raises(ProtocolError):
        await port.ready("m", "")


async def test_errors_pass() -> None:
    port, connection = made()

    async def down(*_: Any) -> bytes:
        raise CenterDown("gone")

    connection.ask = down  # type: ignore[method-assign]
    with pytest.raises(CenterDown):
        await port.config("m", "")
