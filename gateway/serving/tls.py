"""A door's certificate: read from files, and read anew while the door is open.

One context serves every listener for as long as the process lives. A certificate that is renewed is
first loaded into a context of its own; only a pair that fits goes into the one in force, where the
next handshake finds it. Connections that are open keep theirs.
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Sequence
from pathlib import Path

from gateway.api import ConfigError
from gateway.config.settings import Server

ALPN = ("http/1.1",)
SHOWN = 16


class Certificate:
    """``context`` is for listeners. Raises ConfigError for files that are no certificate and key.

    ``key`` None: the certificate's file has it too. ``alpn``: the protocols that are spoken.
    """

    def __init__(self, cert: Path, key: Path | None, alpn: Sequence[str] = ALPN) -> None:
        self._cert = cert
        self._key = key
        self._alpn = list(alpn)
        self._seen = self._fingerprint()
        self.context = self._checked()

    def changed(self) -> tuple[str, str] | None:
        """(before, now), the first digits of SHA-256 over both files; None when they are the same.

        Raises ConfigError when what lies there now cannot be used.
        """
        now = self._fingerprint()
        if now == self._seen:
            return None
        self._checked()
        return self._seen, now

    def renew(self) -> None:
        """From the next handshake on what lies there now counts. Raises ConfigError."""
        now = self._fingerprint()
        if now != self._seen:
            self._checked()
            self._load(self.context)
            self._seen = now

    def _checked(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(self._alpn)
        self._load(context)
        return context

    def _load(self, context: ssl.SSLContext) -> None:
        try:
            context.load_cert_chain(self._cert, self._key, password=_no_password)
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"server.tls_cert = {self._cert}, server.tls_key = {self._key or 'the same file'}: "
                f"cannot be used: {error}; expected PEM files, the certificate first and then its "
                "chain, and its own key without a password"
            ) from None

    def _fingerprint(self) -> str:
        digest = hashlib.sha256()
        for name, path in (("tls_cert", self._cert), ("tls_key", self._key)):
            if path is None:
                continue
            try:
                digest.update(path.read_bytes())
            except OSError as error:
                raise ConfigError(
                    f"server.{name} = {path}: cannot be read: {error.strerror}"
                ) from None
        return digest.hexdigest()[:SHOWN]


def certificate_of(server: Server, alpn: Sequence[str] = ALPN) -> Certificate | None:
    """None where the door speaks plain HTTP. Raises ConfigError."""
    if not server.tls_cert:
        if server.tls_key:
            raise ConfigError(
                f"server.tls_key = {server.tls_key} without a certificate; set server.tls_cert"
            )
        return None
    key = Path(server.tls_key) if server.tls_key else None
    return Certificate(Path(server.tls_cert), key, alpn)


def _no_password() -> str:
    """Nobody is there to be asked for one."""
    raise ValueError("the key has a password")
