"""What a new config may not change, and that a wrong start leaves nothing behind."""

from pathlib import Path

import msgspec
import pytest

from gateway.api import ConfigError
from gateway.config import Settings
from gateway.config.settings import FleetChoice, Server
from gateway.runtime import supervisor as module
from gateway.runtime.supervisor import Supervisor


@pytest.mark.parametrize(
    ("key", "value"),
    [("host", "0.0.0.0"), ("port", 1), ("admin_host", "::1"), ("admin_port", 2)],
)
def test_addresses_stay_as_they_are(key: str, value: object) -> None:
    now = Settings()
    then = msgspec.structs.replace(now, server=msgspec.structs.replace(now.server, **{key: value}))
    with pytest.raises(ConfigError, match=rf"server\.{key}"):
        module._check_fixed(now, then)
    module._check_fixed(now, now)


async def test_a_wrong_fleet_leaves_neither_folder_nor_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    settings = Settings(
        server=Server(port=0, admin_port=0, workers=2), fleet=FleetChoice(file="nowhere.toml")
    )
    supervisor = Supervisor(lambda: settings)
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(ConfigError, match=r"nowhere\.toml"):
        await supervisor.start()
    await supervisor.close()
    assert list(tmp_path.iterdir()) == []
