"""That a wrong start leaves nothing behind."""

from pathlib import Path

import pytest

from gateway.api import ConfigError
from gateway.config import Settings
from gateway.config.settings import FleetChoice, Server
from gateway.runtime.supervisor import Supervisor


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
