"""Where requests go, and the bounds the generator keeps."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from gateway.api import ConfigError


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where requests go; ``prefix`` is the path before ``/v2``, without a slash at its end."""

    host: str
    port: int
    secure: bool = False
    prefix: str = ""

    @classmethod
    def parse(cls, url: str) -> Endpoint:
        """From ``http://host:port`` or ``https://...``; raises ConfigError for anything else."""
        parts = urlsplit(url if "://" in url else f"http://{url}")
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in ("http", "https") or not parts.hostname or port == -1:
            raise ConfigError(f"an endpoint is http://host:port or https://host, got {url!r}")
        secure = parts.scheme == "https"
        prefix = parts.path.rstrip("/")
        return cls(parts.hostname, port or (443 if secure else 80), secure, prefix)

    @property
    def authority(self) -> str:
        """``host:port`` as the Host header says it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The whole address, without a slash at its end."""
        return f"http{'s' if self.secure else ''}://{self.authority}{self.prefix}"


@dataclass(frozen=True, slots=True)
class Limits:
    """What the pool never exceeds."""

    connections_max: int = 512
    timeout_s: float = 10.0
    answer_bytes_max: int = 64 * 1024 * 1024
    line_max: int = 200_000
