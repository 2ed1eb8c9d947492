"""Faults in force and what they do together."""

import pytest

from gateway.api import InvalidRequest
from gateway.wan import faults as module
from gateway.wan.faults import Effect, Fault, Faults


@pytest.fixture
def faults() -> Faults:
    return Faults()


def test_nothing_is_wrong_at_first(faults: Faults) -> None:
    assert faults.effect(0, 0) is None
    assert faults.active() == []


@pytest.mark.parametrize(
    ("kind", "value", "effect"),
    [
        ("down", 1, Effect(down=True)),
        ("slow", 3.0, Effect(slow=3.0)),
        ("delay", 12.5, Effect(delay_ms=12.5)),
        ("loss", 0.1, Effect(loss=pytest.approx(0.1))),
        ("error", 1.0, Effect(error_rate=1.0)),
        ("black_hole", 1, Effect(black_hole=True)),
    ],
)
def test_each_kind_has_its_effect(faults: Faults, kind, value, effect) -> None:
    faults.set(3, kind, value, None)
    assert faults.effect(3, 99) == effect
    assert faults.effect(2, 99) is None


def test_a_fault_of_one_path_is_met_on_that_path_only(faults: Faults) -> None:
    faults.set(3, "delay", 5.0, 7)
    assert faults.effect(3, 7) == Effect(delay_ms=5.0)
    assert faults.effect(3, 8) is None


def test_faults_of_center_and_path_add_up_on_the_path(faults: Faults) -> None:
    faults.set(3, "delay", 5.0, 7)
    faults.set(3, "delay", 2.0, None)
    faults.set(3, "loss", 0.5, 7)
    faults.set(3, "loss", 0.5, None)
    faults.set(3, "slow", 2.0, None)
    assert faults.effect(3, 7) == Effect(slow=2.0, delay_ms=7.0, loss=0.75)
    assert faults.effect(3, 8) == Effect(slow=2.0, delay_ms=2.0, loss=0.5)


def test_setting_again_replaces(faults: Faults) -> None:
    faults.set(1, "slow", 2.0, None)
    faults.set(1, "slow", 4.0, None)
    assert faults.active() == [Fault(1, "slow", 4.0, None)]
    assert faults.clear(None) == 1


@pytest.mark.parametrize(
    ("kind", "value", "neutral"), [("slow", 2, 1), ("delay", 3, 0), ("down", 1, 0)]
)
def test_the_neutral_value_lifts(faults: Faults, kind, value, neutral) -> None:
    faults.set(1, kind, value, None)
    faults.set(1, kind, neutral, None)
    assert faults.active() == []
    assert faults.effect(1, 0) is None


def test_clear_says_how_many(faults: Faults) -> None:
    faults.set(1, "slow", 2.0, None)
    faults.set(1, "loss", 0.2, 4)
    faults.set(2, "down", 1, None)
    assert faults.clear(5) == 0
    assert faults.clear(1) == 2
    assert faults.effect(1, 4) is None
    assert faults.active() == [Fault(2, "down", 1, None)]
    assert faults.clear(None) == 1
    assert faults.clear(None) == 0


@pytest.mark.parametrize(
    ("kind", "value", "says"),
    [
        ("explode", 1, "expected down, slow, delay, loss, error, black_hole"),
        ("slow", 0.5, "expected 1 to"),
        ("delay", -1, "expected 0 to"),
        ("delay", float("inf"), "inf"),
        ("loss", 1.01, "expected 0 to 1"),
        ("error", float("nan"), "expected 0 to 1"),
        ("down", 0.5, "expected 1 (on) or 0 (off)"),
        ("black_hole", 2, "expected 1 (on) or 0 (off)"),
    ],
)
def test_a_bad_fault_is_refused_and_changes_nothing(faults: Faults, kind, value, says) -> None:
    with pytest.raises(InvalidRequest) as caught:
        faults.set(1, kind, value, None)
    assert says in str(caught.value)
    assert faults.active() == []
    assert faults.effect(1, 0) is None


def test_faults_are_bounded(faults: Faults, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FAULTS_MAX", 3)
    for center in range(3):
        faults.set(center, "down", 1, None)
    with pytest.raises(InvalidRequest, match="3 faults are in force"):
        faults.set(3, "down", 1, None)
    faults.set(2, "down", 0, None)
    faults.set(3, "down", 1, None)
    assert len(faults.active()) == 3


def test_a_center_without_faults_need_not_be_looked_at() -> None:
    faults = Faults()
    faults.set(2, "slow", 3.0, 7)
    assert faults.any_at(2)
    assert not faults.any_at(1)
    faults.clear(2)
    assert not faults.any_at(2)
