"""The public port is held once for all: several sockets, one address, nobody else's share."""

import socket

import pytest

from gateway.api import ConfigError
from gateway.runtime.public_sockets import PublicSockets


def test_all_sockets_have_one_port_and_none_listens_yet() -> None:
    made = PublicSockets("127.0.0.1", 0, 3)
    names = {each.getsockname() for each in made.sockets}
    assert len(names) == 1
    host, port = names.pop()
    assert (made.url, made.port) == (f"http://{host}:{port}", port)
    with socket.socket() as client, pytest.raises(ConnectionRefusedError):
        client.connect((host, port))
    made.close()


def test_a_connection_waits_for_whoever_accepts_from_that_socket() -> None:
    made = PublicSockets("127.0.0.1", 0, 1)
    made.sockets[0].listen()
    with socket.create_connection(made.sockets[0].getsockname()) as client:
        worker = made.sockets[0].dup()  # one that ended before it accepted
        worker.close()
        made.sockets[0].setblocking(True)
        successor, _ = made.sockets[0].accept()
        client.sendall(b"x")
        assert successor.recv(1) == b"x"
        successor.close()
    made.close()


def test_growing_keeps_what_there_is() -> None:
    made = PublicSockets("127.0.0.1", 0, 1)
    first = made.descriptors
    made.grow(3)
    assert made.descriptors[:1] == first
    assert len(made.descriptors) == 3
    made.grow(2)
    assert len(made.descriptors) == 3
    made.close()


@pytest.mark.parametrize("sharing", [False, True])
def test_a_port_somebody_listens_on_is_refused_even_if_he_would_share(sharing: bool) -> None:
    with socket.socket() as other:
        if sharing:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"server.port = {port}"):
            PublicSockets("127.0.0.1", port, 2)


def test_the_key_that_asks_for_the_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"server.grpc_port = {port}.*Set server.grpc_port"):
            PublicSockets("127.0.0.1", port, 1, "server.grpc_port")


def test_a_host_that_is_none_is_told() -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.invalid"):
        PublicSockets("nowhere.invalid", 0, 1)
