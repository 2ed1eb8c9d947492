"""What is a worker's own: its share of the bounds, its log, its centers' address, its random."""

from random import Random

import numpy as np
import pytest

from gateway.api import Center, Location, Table
from gateway.config import Settings
from gateway.config.settings import Server, Telemetry
from gateway.fleet.shared_table import SharedTable, TableSize
from gateway.runtime.worker_seat import WorkerSeat, worker_settings

HERE = Location(30.0, 120.0)
CENTERS = (
    Center("a", "r", "z", "city", "CN", HERE),
    Center("b", "r", "z", "city", "CN", HERE, url="http://10.0.0.1:80", emulate="none"),
)


def seat(number: int = 0, centers_url: str = "") -> WorkerSeat:
    size = TableSize(len(CENTERS), 2, 1, 1)
    shared = SharedTable(memoryview(bytearray(size.bytes)), size)
    return WorkerSeat(number, shared, (), (), "", "", centers_url)


@pytest.mark.parametrize(("workers", "share"), [(1, 100), (2, 50), (3, 34)])
def test_requests_in_flight_are_shared_out(workers: int, share: int) -> None:
    settings = Settings(server=Server(workers=workers, in_flight_max=100))
    assert worker_settings(settings, 0).server.in_flight_max == share


def test_every_worker_has_a_decision_log_of_its_own() -> None:
    settings = Settings(telemetry=Telemetry(decision_log="logs/decisions.nwl"))
    told = [worker_settings(settings, number).telemetry.decision_log for number in range(2)]
    assert told == ["logs/decisions.0.nwl", "logs/decisions.1.nwl"]
    assert worker_settings(Settings(), 1).telemetry.decision_log == ""


def test_centers_without_a_url_live_in_the_centers_process() -> None:
    moved = seat(centers_url="nearway+unix:///run/centers").centers(CENTERS)
    assert (moved[0].url, moved[0].emulate) == ("nearway+unix:///run/centers", "center")
    assert moved[1] == CENTERS[1]
    assert seat().centers(CENTERS) == CENTERS


def test_equal_centers_take_turns_differently_at_every_seat() -> None:
    def ties(number: int) -> list[float]:
        centers = [Center(f"c{i}", "r", "z", "city", "CN", HERE) for i in range(32)]
        size = TableSize(32, 2, 1, 1)
        shared = SharedTable(memoryview(bytearray(size.bytes)), size)
        table = Table(centers)
        WorkerSeat(number, shared, (), (), "", "").fleet(
            table, lambda _: np.zeros(32, np.float32), Random(f"1:fleet:{number}")
        )
        return table.columns["queue_ms"].tolist()

    assert ties(0) != ties(1)
