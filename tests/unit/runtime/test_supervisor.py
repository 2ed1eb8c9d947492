"""That a wrong start leaves nothing behind."""

from pathlib import Path

import msgspec
import pytest

from gateway.api import ConfigError
from gateway.config import Settings, load_settings
from gateway.config.settings import FleetChoice, Models, Server
from gateway.runtime.supervisor import Supervisor

SERVER = Server(port=0, admin_port=0, workers=2)
SETTINGS = msgspec.structs.replace(load_settings(None, {}).settings, server=SERVER)
NO_FLEET = msgspec.structs.replace(SETTINGS, fleet=FleetChoice(file="nowhere.toml"))
NO_MODEL = msgspec.structs.replace(SETTINGS, models=Models(aliases={"fast": "nowhere"}))


@pytest.mark.parametrize(
    ("settings", "what"),
    [(NO_FLEET, r"nowhere\.toml"), (NO_MODEL, "'nowhere': there is no such model")],
    ids=["fleet", "alias"],
)
async def test_a_wrong_config_leaves_neither_folder_nor_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings, what: str
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    supervisor = Supervisor(lambda: settings)
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(ConfigError, match=what):
        await supervisor.start()
    await supervisor.close()
    assert list(tmp_path.iterdir()) == []
