"""The sockets of one port are closed, whoever holds them; all else is as it was."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from gateway.serving.grpc_door import listeners
from gateway.serving.grpc_door.listeners import close_listeners

linux = pytest.mark.skipif(not listeners.DESCRIPTORS.is_dir(), reason="there is no /proc here")


@linux
def test_one_port_is_closed_and_its_connections_go_on() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as other,
        socket.create_connection(one.getsockname()) as client,
    ):
        accepted, _ = one.accept()
        address, others = one.getsockname(), other.getsockname()
        assert close_listeners(address[1]) == 1
        with accepted:
            accepted.sendall(b"x")
            assert client.recv(1) == b"x"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)
        socket.create_connection(others).close()
        assert close_listeners(address[1]) == 0


@linux
def test_what_shares_the_port_gets_all_connections() -> None:
    def sharing(port: int) -> socket.socket:
        made = socket.socket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind(("127.0.0.1", port))
        return made

    with sharing(0) as one, sharing(one.getsockname()[1]) as held:
        one.listen()
        assert close_listeners(one.getsockname()[1]) == 1
        held.listen()
        for _ in range(20):
            with socket.create_connection(held.getsockname()):
                held.accept()[0].close()


def test_without_proc_nothing_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(listeners, "DESCRIPTORS", tmp_path / "none")
    with socket.create_server(("127.0.0.1", 0)) as one:
        assert close_listeners(one.getsockname()[1]) == 0
        socket.create_connection(one.getsockname()).close()
