"""What the gRPC door shows at a handshake: the public door's certificate, renewed when that is.

The files have been checked by the public door (``tls``) before they are read here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc

from gateway.api import ConfigError
from gateway.config.settings import Server


class Credentials:
    """``server`` is for a port. A handshake asks, in a thread of grpcio's, for what is new."""

    def __init__(self, server: Server) -> None:
        """Raises ConfigError for files that cannot be read."""
        self._files = server.tls_cert, server.tls_key or server.tls_cert
        self._shown = self._read()
        self._next: Any = None
        self.server = grpc.dynamic_ssl_server_credentials(_configuration(self._shown), self._new)

    def renew(self) -> None:
        """From the next handshake on what lies there now counts. Raises ConfigError."""
        now = self._read()
        if now != self._shown:
            self._shown = now
            self._next = _configuration(now)

    def _new(self) -> Any:
        """None: as before."""
        return self._next

    def _read(self) -> tuple[bytes, bytes]:
        cert, key = self._files
        try:
            return Path(cert).read_bytes(), Path(key).read_bytes()
        except OSError as error:
            raise ConfigError(
                f"server.tls_cert = {cert}, server.tls_key = {key}: cannot be read: "
                f"{error.strerror}"
            ) from None


def credentials_of(server: Server) -> Credentials | None:
    """None where the doors speak without TLS."""
    return Credentials(server) if server.tls_cert else None


def _configuration(pair: tuple[bytes, bytes]) -> Any:
    cert, key = pair
    return grpc.ssl_server_certificate_configuration([(key, cert)])
