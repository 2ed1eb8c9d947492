"""What is known of a model before anybody loads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.api import ConfigError, NotFound
from gateway.engine import ModelRepository, NotYetLoaded
from gateway.engine import repository as repository_module
from gateway.engine.cold_models import LOAD_MS, UNKNOWN_RUN_MS, cold_model


def repository(root: Path) -> ModelRepository:
    found = ModelRepository([root], tensor_elements_max=1000)
    found.scan()
    return found


def test_priors_come_from_the_config_and_the_size(workshop: Any) -> None:
    plain = cold_model(workshop.write("a", workshop.identity()), ["1"])
    assert plain.run_ms == UNKNOWN_RUN_MS
    assert plain.load_ms == pytest.approx(LOAD_MS, rel=0.01)
    assert not plain.measured
    slow = workshop.write("b", workshop.identity(), config="[service]\nmedian_ms = 40.0\n")
    assert cold_model(slow, ["1"]).run_ms == 40.0


def test_a_declared_model_is_served_without_being_in_memory(workshop: Any) -> None:
    workshop.write("m", workshop.identity(), config='smaller = "s"\n')
    models = repository(workshop.root)
    models.declare("m")
    assert models.state("m") == "READY"
    assert models.config("m").smaller == "s"
    assert models.index() == [("m", "1", "READY", "not in memory; its first request loads it")]
    assert list(models.present()) == ["m"]
    with pytest.raises(NotYetLoaded, match="first request"):
        models.get("m")
    models.load("m")
    assert models.cold("m") is None
    assert models.get("m").name == "m"


def test_an_evicted_model_is_loaded_again_and_not_measured_again(
    workshop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop.write("m", workshop.identity(), config="max_batch_size = 8\n")
    models = repository(workshop.root)
    models.load("m")
    first = models.get("m")
    taken = models.memory_bytes()
    assert taken > 0
    models.evict("m")
    models.evict("m")
    assert models.memory_bytes() == 0
    cold = models.cold("m")
    assert cold is not None
    assert cold.measured
    assert (cold.run_ms, cold.memory_bytes) == (first.run_ms, taken)
    known: list[Any] = []
    load = repository_module.load_model

    def noting(*args: Any, **options: Any) -> Any:
        known.append(options["known"])
        return load(*args, **options)

    monkeypatch.setattr(repository_module, "load_model", noting)
    models.load("m")
    again = models.get("m")
    assert again.run_time is first.run_time
    assert again.batching is first.batching
    assert again.run({"x": np.ones((1, 3), np.float32)}, ["y"])[0].tolist() == [[1, 1, 1]]
    models.evict("m")
    workshop.write("m", workshop.identity(), config="max_batch_size = 4\n")
    models.load("m")
    assert [one is None for one in known] == [False, True]


def test_a_model_that_cannot_be_loaded_is_served_no_more(workshop: Any) -> None:
    folder = workshop.write("m", workshop.identity())
    models = repository(workshop.root)
    models.declare("m")
    (folder / "1" / "model.onnx").write_bytes(b"nonsense")
    with pytest.raises(ConfigError):
        models.load("m")
    assert models.present() == {}
    with pytest.raises(NotFound, match="cannot open it"):
        models.get("m")


def test_unloaded_by_hand_is_not_on_demand_any_more(workshop: Any) -> None:
    workshop.write("m", workshop.identity())
    models = repository(workshop.root)
    models.declare("m")
    models.unload("m")
    assert models.state("m") == "UNAVAILABLE"
    after = models.renewed([workshop.root], lambda _: True, on_demand=True)
    assert after.present() == {}


def test_the_repository_that_follows_keeps_what_is_known(workshop: Any) -> None:
    for name in ("cold", "warm", "evicted"):
        workshop.write(name, workshop.identity())
    models = repository(workshop.root)
    models.declare("cold")
    models.load("warm")
    models.load("evicted")
    models.evict("evicted")
    workshop.write("new", workshop.identity())
    after = models.renewed([workshop.root], lambda _: True, on_demand=True)
    assert set(after.present()) == {"cold", "warm", "evicted", "new"}
    assert after.get("warm") is models.get("warm")
    assert after.cold("evicted") is models.cold("evicted")
    models.load("cold")
    models.evict("warm")
    for name in models.present():
        if not after.follows(models, name):
            after.take_over(name, models)
    assert after.get("cold") is models.get("cold")
    assert after.cold("warm") is models.cold("warm")


def test_the_least_recently_used_is_the_first_idle_one(workshop: Any) -> None:
    for name in ("a", "b", "c"):
        workshop.write(name, workshop.identity())
    models = repository(workshop.root)
    for used_s, name in enumerate(("b", "c", "a")):
        models.load(name)
        models.get(name).used_s = float(used_s)
    assert models.idle() == ["b", "c", "a"]
    assert models.used_s() == 2.0
    models.get("b").under_way = 1
    assert models.idle() == ["c", "a"]
