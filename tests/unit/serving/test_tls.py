"""Certificates from files: right, wrong, and renewed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from gateway.api import ConfigError
from gateway.config.settings import Server
from gateway.serving.tls import Certificate, certificate_of

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


def make(folder: Path, name: str, *flags: str) -> tuple[Path, Path]:
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    made = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2")
    subprocess.run(
        [
            *("openssl", "req", "-x509", *made, "-subj", f"/CN={name}"),
            *("-keyout", str(key), "-out", str(cert), *(flags or ("-nodes",))),
        ],
        check=True,
        capture_output=True,
    )
    return cert, key


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    folder = tmp_path_factory.mktemp("certificates")
    return {name: make(folder, name) for name in ("one", "other")}


def test_nothing_is_read_unless_told() -> None:
    assert certificate_of(Server()) is None
    with pytest.raises(ConfigError, match=r"set server\.tls_cert"):
        certificate_of(msgspec.structs.replace(Server(), tls_key="key.pem"))


def test_a_pair_and_one_file_that_holds_both(
    pairs: dict[str, tuple[Path, Path]], tmp_path: Path
) -> None:
    cert, key = pairs["one"]
    both = tmp_path / "both.pem"
    both.write_bytes(cert.read_bytes() + key.read_bytes())
    for told in (Server(tls_cert=str(cert), tls_key=str(key)), Server(tls_cert=str(both))):
        certificate = certificate_of(told)
        assert certificate is not None
        assert certificate.changed() is None


def test_what_does_not_fit_is_named(pairs: dict[str, tuple[Path, Path]], tmp_path: Path) -> None:
    cert, key = pairs["one"]
    with pytest.raises(ConfigError, match=r"tls_key = .*other\.key"):
        Certificate(cert, pairs["other"][1])
    with pytest.raises(ConfigError, match=r"tls_key = .*: cannot be read: No such file"):
        Certificate(cert, tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="PEM"):
        Certificate(key, key)
    locked = make(tmp_path, "locked", "-passout", "pass:secret")
    with pytest.raises(ConfigError, match="password"):
        Certificate(*locked)


def test_it_is_renewed_whole_or_not_at_all(
    pairs: dict[str, tuple[Path, Path]], tmp_path: Path
) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    shutil.copy(pairs["one"][0], cert)
    shutil.copy(pairs["one"][1], key)
    certificate = Certificate(cert, key)
    context = certificate.context
    shutil.copy(pairs["other"][0], cert)
    with pytest.raises(ConfigError, match="cannot be used"):
        certificate.changed()
    with pytest.raises(ConfigError, match="cannot be used"):
        certificate.renew()
    shutil.copy(pairs["other"][1], key)
    changed = certificate.changed()
    assert changed is not None
    assert changed[0] != changed[1]
    certificate.renew()
    assert certificate.context is context
    assert certificate.changed() is None
