"""Addresses of our own centers: ``nearway://host:port`` and ``nearway+unix:/path``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from gateway.api import ConfigError

TCP_SCHEME = "nearway"
UNIX_SCHEME = "nearway+unix"
SOCKET_PATH_BYTES_MAX = 107
EXPECTED = 'expected "nearway://10.0.0.7:9000" or "nearway+unix:/run/center.sock"'


@dataclass(frozen=True, slots=True)
class FramedAddress:
    """Where a center process listens for frames: a Unix socket's path, or host and port."""

    path: str = ""
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        if self.path:
            return f"{UNIX_SCHEME}:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{TCP_SCHEME}://{host}:{self.port}"


def is_framed(url: str) -> bool:
    """True for a URL of one of the two schemes, well-formed or not."""
    return url.partition(":")[0].lower() in (TCP_SCHEME, UNIX_SCHEME)


def parse_framed(url: str) -> FramedAddress:
    """Raises ConfigError saying what was found and what is expected."""
    if re.search(r"[\s\x00-\x1f]", url):
        raise ConfigError(f"found {url!r}; {EXPECTED}")
    scheme, _, rest = url.partition(":")
    if scheme.lower() == UNIX_SCHEME:
        return _unix(url, rest)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"{url!r} is no URL ({error}); {EXPECTED}") from None
    extra = parts.path or parts.query or parts.fragment or parts.username is not None
    if parts.scheme != TCP_SCHEME or not host or not port or extra:
        raise ConfigError(f"found {url!r}; {EXPECTED}")
    return FramedAddress(host=host, port=port)


def _unix(url: str, path: str) -> FramedAddress:
    path = "/" + path.lstrip("/") if path.startswith("//") else path
    if not path.startswith("/") or path.endswith("/"):
        raise ConfigError(f"found {url!r}: the path of a socket begins with /; {EXPECTED}")
    if len(path.encode()) > SOCKET_PATH_BYTES_MAX:
        raise ConfigError(
            f"found {url!r}: a socket's path has at most {SOCKET_PATH_BYTES_MAX} bytes"
        )
    return FramedAddress(path=path)
