"""What does not change, and who may watch."""

from __future__ import annotations

from gateway.api import Center, Location, Place
from gateway.api.control import FAULT_KINDS
from gateway.serving.dashboard.routes import batches, facts


def center(name: str, url: str | None = None) -> Center:
    return Center(name, "r", "a", "Wuhu", "CN", Location(31.3, 118.4), core=True, url=url)


def test_facts_name_every_center_and_place() -> None:
    told = facts([center("c0")], [Place("Hefei", "CN", Location(31.9, 117.3), 5)], "9", 7.5)
    assert told["centers"] == [
        {
            "id": "c0",
            "region": "r",
            "city": "Wuhu",
            "lat": 31.3,
            "lon": 118.4,
            "core": True,
            "slots": 4,
        }
    ]
    assert told["origins"] == [{"name": "Hefei", "lat": 31.9, "lon": 117.3}]
    assert (told["version"], told["target_ms"], told["faults"]) == ("9", 7.5, True)
    assert told["kinds"] == FAULT_KINDS


def test_real_centers_take_no_faults() -> None:
    assert not facts([center("c0", "http://a")], [], "9", 10.0)["faults"]


def test_runs_by_batch_size_are_those_of_all_versions() -> None:
    def version(*runs: tuple[int, int]) -> dict[str, object]:
        return {
            "batch_stats": [
                {"batch_size": size, "compute_infer": {"count": count, "ns": 1}}
                for size, count in runs
            ]
        }

    assert batches([version((16, 1), (1, 5)), version((1, 2)), {}]) == {"1": 7, "16": 1}
    assert list(batches([version((16, 1), (2, 5))])) == ["2", "16"]
