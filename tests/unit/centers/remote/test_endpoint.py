"""A URL says host, port, TLS and the path before every route, or is refused."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from gateway.api import ConfigError
from gateway.centers.remote.endpoint import Endpoint, tls_context


@pytest.mark.parametrize(
    ("url", "host", "port", "secure", "authority", "path"),
    [
        ("http://10.0.0.7:8000", "10.0.0.7", 8000, False, "10.0.0.7:8000", ""),
        ("http://triton", "triton", 80, False, "triton", ""),
        ("https://triton/", "triton", 443, True, "triton", ""),
        ("https://triton:443", "triton", 443, True, "triton", ""),
        ("http://triton:443", "triton", 443, False, "triton:443", ""),
        ("http://[::1]:9", "::1", 9, False, "[::1]:9", ""),
        ("http://h:1/a/b c/", "h", 1, False, "h:1", "/a/b%20c"),
        ("http://bücher.example:1", "xn--bcher-kva.example", 1, False, None, ""),
    ],
)
def test_taken_apart(
    url: str, host: str, port: int, secure: bool, authority: str | None, path: str
) -> None:
    found = Endpoint.from_url(url)
    assert (found.host, found.port, found.secure, found.path) == (host, port, secure, path)
    assert found.authority == (authority or f"{host}:{port}")


@pytest.mark.parametrize(
    "url", ["", "triton:8000", "ftp://h", "http://", "http://h:99999", "http://h?x=1", "http://[h"]
)
def test_refused_with_what_is_expected(url: str) -> None:
    with pytest.raises(ConfigError, match=r"expected http://host:port"):
        Endpoint.from_url(url)


def test_tls_verifies_and_asks_for_http_1_1() -> None:
    context = tls_context("")
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_wrong_ca_file_is_named(tmp_path: Path) -> None:
    empty = tmp_path / "ca.pem"
    empty.write_text("nothing")
    for path in (empty, tmp_path / "absent.pem"):
        with pytest.raises(ConfigError, match=r"remote\.ca_file"):
            tls_context(str(path))
