"""Where a remote center is reached: its URL taken apart, and the TLS context of https."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from gateway.api import ConfigError

PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """``authority`` is what the Host header says; ``path`` stands before every route."""

    url: str
    host: str
    port: int
    secure: bool
    authority: str
    path: str

    @classmethod
    def from_url(cls, url: str) -> Endpoint:
        """Raises ConfigError for anything but ``http(s)://host[:port][/path]``."""
        try:
            parts = urlsplit(url)
            port, host = parts.port, (parts.hostname or "").encode("idna").decode()
        except (ValueError, UnicodeError):
            port, host = None, ""
        if not host or parts.scheme not in PORTS or parts.query or parts.fragment:
            raise ConfigError(
                f"url = {url!r} is not one of a remote center; expected http://host:port or "
                "https://host:port, such as http://10.0.0.7:8000; mend it in the fleet file"
            )
        name = f"[{host}]" if ":" in host else host
        default = PORTS[parts.scheme]
        authority = name if port in (None, default) else f"{name}:{port}"
        path = quote(parts.path.rstrip("/"), safe="/%:@!$&'()*+,;=-._~")
        return cls(url, host, port or default, parts.scheme == "https", authority, path)


def tls_context(ca_file: str) -> ssl.SSLContext:
    """Verifies certificates against the system's, or ``ca_file`` when it is not empty.

    Raises ConfigError naming ``remote.ca_file`` when that cannot be read.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"remote.ca_file = {ca_file!r} cannot be read as certificates in PEM: {error}"
        ) from None
    context.set_alpn_protocols(["http/1.1"])
    return context
