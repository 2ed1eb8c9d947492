"""The public port, held for all workers: one listening socket each, made by the supervisor.

Theory of operation. The kernel spreads new connections over all sockets that listen on one
port with SO_REUSEPORT. Were each worker to make its own, then whatever waits in the queue of
a worker that ends would be reset. So the supervisor makes them and keeps them open, and
workers accept on descriptors they inherited: a queue outlives its worker, and a sibling or
the successor accepts from it. A socket that is bound but does not listen yet holds the port
without receiving anything; the first worker that accepts makes it listen.
"""

from __future__ import annotations

import socket

from gateway.api import ConfigError


class PublicSockets:
    """``count`` sockets on one address. Raises ConfigError when it cannot be had: ``key`` asks
    for it.
    """

    def __init__(self, host: str, port: int, count: int, key: str = "server.port") -> None:
        self.host = host
        try:
            family, *_, address = socket.getaddrinfo(
                host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            _refuse_taken(family, address)
            first = _bound(family, address)
        except OSError as error:
            raise ConfigError(
                f"{key} = {port}: cannot listen on {host}: {error.strerror}; another "
                f"process may hold it. Set {key} (0 picks a free one)."
            ) from None
        self._family, self._address = family, first.getsockname()
        self.sockets = [first]
        self.grow(count)

    def grow(self, count: int) -> None:
        """Have at least ``count`` sockets."""
        while len(self.sockets) < count:
            self.sockets.append(_bound(self._family, self._address))

    @property
    def port(self) -> int:
        """The one that is held."""
        return int(self._address[1])

    @property
    def address(self) -> str:
        """Where clients connect, as host:port."""
        host, port = self._address[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    @property
    def url(self) -> str:
        """The same, for HTTP."""
        return f"http://{self.address}"

    @property
    def descriptors(self) -> tuple[int, ...]:
        """For workers to inherit."""
        return tuple(each.fileno() for each in self.sockets)

    def close(self) -> None:
        """Give the port back."""
        for each in self.sockets:
            each.close()


def _bound(family: int, address: object) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind(address)  # type: ignore[arg-type]  # an address of getaddrinfo's
    except OSError:
        made.close()
        raise
    made.setblocking(False)
    return made


def _refuse_taken(family: int, address: object) -> None:
    """Somebody else's SO_REUSEPORT socket on this port would get a share of our clients."""
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        trial.bind(address)  # type: ignore[arg-type]  # an address of getaddrinfo's
