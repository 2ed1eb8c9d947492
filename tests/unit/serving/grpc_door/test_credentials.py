"""The door's certificate is the public door's, and a renewed one is shown from then on."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any

import grpc
import pytest

from gateway.api import ConfigError
from gateway.config.settings import Server
from gateway.serving.grpc_door.credentials import Credentials, credentials_of
from gateway.serving.grpc_door.door import GrpcDoor
from gateway.serving.grpc_door.messages import SERVICE, message

openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


def make(folder: Path) -> tuple[Path, Path]:
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"),
            *("-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert),
        ],
        check=True,
        capture_output=True,
    )
    return cert, key


def live(address: str, trusted: bytes) -> bool:
    credentials = grpc.ssl_channel_credentials(trusted)
    options = [
        ("grpc.ssl_target_name_override", "localhost"),
        ("grpc.use_local_subchannel_pool", 1),
    ]
    with grpc.secure_channel(address, credentials, options) as channel:
        stub = channel.unary_unary(
            f"/{SERVICE}/ServerLive",
            response_deserializer=message("ServerLiveResponse").FromString,
        )
        return bool(stub(b"", timeout=20).live)


def test_without_a_certificate_there_is_none() -> None:
    assert credentials_of(Server()) is None


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"server\.tls_cert = .*nowhere.*: cannot be read"):
        Credentials(Server(tls_cert=str(tmp_path / "nowhere")))


@openssl
async def test_a_handshake_shows_the_certificate_that_is_in_force(
    make_front: Any, tmp_path: Path
) -> None:
    cert, key = make(tmp_path)
    front = make_front(server={"tls_cert": str(cert), "tls_key": str(key)})
    door = GrpcDoor(front, asyncio.get_running_loop(), reuse_port=False)
    address = door.listen("127.0.0.1", 0)
    host, _, port = address.rpartition(":")

    def shown() -> str:
        return ssl.get_server_certificate((host, int(port)), timeout=20)

    try:
        before = cert.read_text()
        assert await asyncio.to_thread(live, address, cert.read_bytes())
        assert (await asyncio.to_thread(shown)).split() == before.split()
        make(tmp_path)
        assert (await asyncio.to_thread(shown)).split() == before.split()  # not asked to yet
        door.take(front)
        assert await asyncio.to_thread(live, address, cert.read_bytes())
        assert (await asyncio.to_thread(shown)).split() == cert.read_text().split() != before
    finally:
        await door.close(0.0)
