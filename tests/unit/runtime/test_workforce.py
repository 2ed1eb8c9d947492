"""What one workforce takes from another, how sockets are divided, and a start that fails."""

from pathlib import Path

import msgspec
import pytest

from gateway.config import Settings, load_settings
from gateway.config.settings import FleetChoice
from gateway.runtime.child_process import ChildLost
from gateway.runtime.public_sockets import PublicSockets
from gateway.runtime.workforce import Workforce


@pytest.fixture
def settings() -> Settings:
    return load_settings(None, {"server.workers": 2, "fleet.sites": "core"}).settings


async def test_what_is_drained_stays_drained_under_a_new_config(
    settings: Settings, tmp_path: Path
) -> None:
    sockets = PublicSockets("127.0.0.1", 0, 2)
    before = Workforce(settings, sockets, tmp_path, 1)
    name = before.centers[3].id
    before.merger.drain(3, draining=True)
    before.shared["rtt_merged"][2, 1] = 7.5
    before.restarts = 4
    larger = msgspec.structs.replace(settings, fleet=FleetChoice(sites="all"))
    for new in (settings, larger):
        after = Workforce(new, sockets, tmp_path, 2)
        after.carry_over(before)
        row = [center.id for center in after.centers].index(name)
        assert after.merger.condition(row).draining
        assert int(after.shared["healthy"].sum()) == len(after.centers) - 1
        measured = [center.id for center in after.centers].index(before.centers[1].id)
        assert after.shared["rtt_merged"][2, measured] == 7.5
        assert after.restarts == 4
        await after.stop()
    await before.stop()
    sockets.close()


async def test_every_public_socket_belongs_to_one_slot(settings: Settings, tmp_path: Path) -> None:
    sockets = PublicSockets("127.0.0.1", 0, 5)  # as after a config with more workers
    force = Workforce(settings, sockets, tmp_path, 1)
    divided = [list(force._numbers_of(slot)) for slot in range(force.slots)]
    assert sorted(number for numbers in divided for number in numbers) == [0, 1, 2, 3, 4]
    await force.stop()
    sockets.close()


async def test_a_worker_that_cannot_start_says_why_and_none_is_left(
    settings: Settings, tmp_path: Path
) -> None:
    wrong = msgspec.structs.replace(
        settings, models=msgspec.structs.replace(settings.models, dirs=("/nowhere",))
    )
    sockets = PublicSockets("127.0.0.1", 0, 2)
    force = Workforce(wrong, sockets, tmp_path, 1)
    with pytest.raises(ChildLost, match="/nowhere"):
        await force.start()
    assert force.workers == {}
    assert not force.shared["in_flight"].any()
    sockets.close()
