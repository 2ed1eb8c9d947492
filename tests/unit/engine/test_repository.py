"""What lies on disk, what is in memory; a load is whole or changes nothing."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import gateway_models
import numpy as np
import pytest

from gateway.api import ConfigError, NotFound
from gateway.engine import ModelRepository
from gateway.engine import repository as repository_module


def repository(*roots: Path) -> ModelRepository:
    found = ModelRepository(roots, tensor_elements_max=1000)
    found.scan()
    return found


def test_scan_load_get_unload(workshop: Any) -> None:
    workshop.write("b", workshop.identity())
    workshop.write("a", workshop.identity())
    models = repository(workshop.root)
    assert models.names() == ("a", "b")
    assert models.knows("a")
    assert not models.knows("c")
    assert models.state("a") == "UNAVAILABLE"
    assert models.index()[0] == ("a", "1", "UNAVAILABLE", "not loaded")
    models.load("a")
    assert models.state("a") == "READY"
    assert models.get("a").run({"x": np.ones((1, 3), np.float32)}, ["y"])[0].tolist() == [[1, 1, 1]]
    models.unload("a")
    assert models.index()[0] == ("a", "1", "UNAVAILABLE", "unloaded")
    with pytest.raises(NotFound, match="'a' is not loaded: unloaded"):
        models.get("a")
    models.load("a")
    assert models.get("a").name == "a"


def test_the_highest_number_is_the_latest(workshop: Any) -> None:
    for version in ("2", "10", "9"):
        workshop.write("m", workshop.identity(), version)
    models = repository(workshop.root)
    models.load("m")
    assert models.get("m").version == "10"
    assert models.get("m", "2").version == "2"
    assert models.get("m").versions == ("2", "9", "10")
    assert [row[1] for row in models.index()] == ["2", "9", "10"]
    with pytest.raises(NotFound, match=r"'m' has no version '3'; versions here: 2, 9, 10"):
        models.get("m", "3")
    for spelled in ("02", "9 ", "latest", "x" * 5000):
        with pytest.raises(NotFound) as caught:
            models.get("m", spelled)
        assert len(str(caught.value)) < 120


def test_unknown_models_are_told_with_the_nearest_name(workshop: Any) -> None:
    workshop.write("blast-furnace", workshop.identity())
    models = repository(workshop.root)
    for ask in (models.get, models.load, models.unload, models.state):
        with pytest.raises(NotFound, match=r"did you mean 'blast-furnace'\?"):
            ask("blast-furnce")
        with pytest.raises(NotFound, match="known: blast-furnace") as caught:
            ask("z" * 10_000)
        assert len(str(caught.value)) < 200


@pytest.mark.parametrize("name", ["../m", "m/1", "/etc", "", ".", "..", "-m", "m\x00", "m\n"])
def test_a_name_is_no_path(workshop: Any, name: str) -> None:
    workshop.write("m", workshop.identity())
    models = ModelRepository([workshop.root / "m", workshop.root], tensor_elements_max=10)
    with pytest.raises(NotFound):
        models.load(name)


def test_a_model_put_there_later_can_be_loaded(workshop: Any) -> None:
    workshop.write("a", workshop.identity())
    models = repository(workshop.root)
    workshop.write("late", workshop.identity())
    models.load("late")
    assert models.names() == ("a", "late")


def test_what_is_no_model_is_not_seen(workshop: Any) -> None:
    workshop.write("m", workshop.identity())
    (workshop.root / "docs").mkdir()
    (workshop.root / "__pycache__" / "1").mkdir(parents=True)
    (workshop.root / "README.md").write_text("hello")
    (workshop.root / "m" / "0").mkdir()
    (workshop.root / "m" / "old").mkdir()
    models = repository(workshop.root)
    assert models.names() == ("m",)
    assert [row[1] for row in models.index()] == ["1"]


def test_roots(workshop: Any, tmp_path: Path) -> None:
    workshop.write("m", workshop.identity())
    other = tmp_path / "other"
    other.mkdir()
    assert repository(workshop.root, other).names() == ("m",)
    assert repository(workshop.root, workshop.root).names() == ("m",)
    (other / "m" / "1").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"model 'm' lies in .*models and in .*other"):
        repository(workshop.root, other)
    with pytest.raises(ConfigError, match="no such folder"):
        repository(tmp_path / "absent")


def test_a_broken_new_version_keeps_the_old_one_serving(workshop: Any) -> None:
    workshop.write("m", workshop.identity())
    models = repository(workshop.root)
    models.load("m")
    before = models.get("m")
    workshop.write("m", b"broken", "2")
    with pytest.raises(ConfigError, match="cannot open"):
        models.load("m")
    assert models.get("m") is before
    assert models.state("m") == "READY"
    [first, second] = models.index()
    assert first[:3] == ("m", "1", "READY")
    assert second[:3] == ("m", "2", "UNAVAILABLE")
    assert "cannot open" in second[3]
    workshop.write("m", workshop.identity("INT32"), "2")
    models.load("m")
    assert models.get("m").version == "2"
    assert [row[3] for row in models.index()] == ["", ""]


def test_a_first_load_that_fails_says_why_afterwards(workshop: Any) -> None:
    workshop.write("m", b"broken")
    models = repository(workshop.root)
    with pytest.raises(ConfigError):
        models.load("m")
    assert models.state("m") == "UNAVAILABLE"
    with pytest.raises(NotFound, match=r"'m' is not loaded: .*cannot open"):
        models.get("m")


def test_versions_gone_from_disk_are_still_served_until_reloaded(workshop: Any) -> None:
    folder = workshop.write("m", workshop.identity())
    models = repository(workshop.root)
    models.load("m")
    (folder / "1" / "model.onnx").unlink()
    (folder / "1").rmdir()
    assert models.get("m").version == "1"
    assert models.index() == [("m", "1", "READY", "")]
    with pytest.raises(ConfigError, match="no version folder"):
        models.load("m")
    assert models.get("m").version == "1"


def test_it_is_loading_while_it_loads(workshop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    workshop.write("m", workshop.identity())
    models = repository(workshop.root)
    opening, go_on = threading.Event(), threading.Event()
    real = repository_module.load_model

    def slow(*args: Any, **kwargs: Any) -> Any:
        opening.set()
        assert go_on.wait(20)
        return real(*args, **kwargs)

    monkeypatch.setattr(repository_module, "load_model", slow)
    thread = threading.Thread(target=models.load, args=("m",))
    thread.start()
    assert opening.wait(20)
    assert models.state("m") == "LOADING"
    assert models.index() == [("m", "1", "LOADING", "")]
    go_on.set()
    thread.join(20)
    assert models.state("m") == "READY"


# ---- the repository that follows -------------------------------------------------------------


def everything(_name: str) -> bool:
    return True


def test_what_has_not_changed_is_shared_and_the_rest_is_opened_aside(workshop: Any) -> None:
    for name in ("same", "other"):
        workshop.write(name, workshop.identity())
    before = repository(workshop.root)
    for name in ("same", "other"):
        before.load(name)
    workshop.write("other", workshop.identity(), "2")
    workshop.write("new", workshop.identity())
    workshop.write("unwanted", workshop.identity())
    after = before.renewed([workshop.root], lambda name: name != "unwanted")
    assert after.get("same") is before.get("same")
    assert (after.get("other").version, before.get("other").version) == ("2", "1")
    assert set(after.in_memory()) == {"same", "other", "new"}
    assert set(before.in_memory()) == {"same", "other"}


def test_one_wrong_file_makes_no_repository(workshop: Any) -> None:
    workshop.write("good", workshop.identity())
    before = repository(workshop.root)
    before.load("good")
    workshop.write("bad", b"no model at all")
    with pytest.raises(ConfigError, match="bad"):
        before.renewed([workshop.root], everything)
    assert before.state("good") == "READY"


def test_unloaded_by_hand_stays_so_and_gone_from_disk_is_gone(workshop: Any) -> None:
    for name in ("a", "b"):
        workshop.write(name, workshop.identity())
    before = repository(workshop.root)
    for name in ("a", "b"):
        before.load(name)
    before.unload("a")
    (workshop.root / "b").rename(workshop.root.parent / "b")
    after = before.renewed([workshop.root], everything)
    assert after.in_memory() == {}
    assert after.index() == [("a", "1", "UNAVAILABLE", "unloaded")]
    assert after.renewed([workshop.root], everything).in_memory() == {}


def test_what_happens_meanwhile_is_taken_over(workshop: Any) -> None:
    for name in ("a", "b"):
        workshop.write(name, workshop.identity())
    before = repository(workshop.root)
    before.load("a")
    after = before.renewed([workshop.root], lambda _: False)
    assert after.follows(before, "a")
    assert after.follows(before, "b")
    before.load("b")
    before.unload("a")
    assert not after.follows(before, "a")
    assert not after.follows(before, "b")
    for name in ("a", "b"):
        after.take_over(name, before)
    assert set(after.in_memory()) == {"b"}


def test_what_nobody_has_is_forgotten_without_a_word(workshop: Any) -> None:
    workshop.write("a", workshop.identity())
    models = repository(workshop.root)
    models.load("a")
    models.forget("a")
    models.forget("never there")
    assert models.index() == [("a", "1", "UNAVAILABLE", "not loaded")]
    (workshop.root / "a").rename(workshop.root.parent / "a")
    models.forget("a")
    assert models.names() == ()


def test_a_model_with_a_tokenizer_reads_text() -> None:
    models = repository(Path(gateway_models.repository()))
    for name, speaks in (("industry-chat", True), ("text-embed", True), ("grid-load", False)):
        assert models.speaks(name) is speaks
        models._elements_max = 4_000_000
        models.load(name)
        assert models.speaks(name) is speaks
    assert not models.speaks("nope")


@pytest.mark.parametrize("on_demand", [False, True])
def test_versions_left_out_are_listed_and_not_served(workshop: Any, on_demand: bool) -> None:
    for version in ("1", "2", "3"):
        workshop.write("m", workshop.identity(), version, config="[versions]\nlatest = 2")
    repository = ModelRepository([workshop.root], tensor_elements_max=100)
    repository.scan()
    if on_demand:
        repository.declare("m")
    else:
        repository.load("m")
    rows = [(version, state) for _, version, state, _ in repository.index()]
    assert rows == [("1", "UNAVAILABLE"), ("2", "READY"), ("3", "READY")]
    assert "left out by the version policy" in repository.index()[0][3]
    repository.load("m")
    assert repository.get("m").metadata.versions == ("2", "3")
    with pytest.raises(NotFound, match="no version '1'; versions here: 2, 3"):
        repository.get("m", "1")


def test_a_version_that_is_wanted_and_not_there_is_an_error(workshop: Any) -> None:
    workshop.write("m", workshop.identity(), config="[versions]\nonly = [2]")
    repository = ModelRepository([workshop.root], tensor_elements_max=100)
    repository.scan()
    for step in (repository.load, repository.declare):
        with pytest.raises(ConfigError, match=r"versions.only names 2"):
            step("m")
