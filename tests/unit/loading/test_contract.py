from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest

from gateway.api import ConfigError
from gateway.loading.contract import check_class, check_declarations


@dataclass(frozen=True)
class Good:
    varies_by: ClassVar = ()
    reads: ClassVar = ()
    live: ClassVar = False
    refresh_ms: ClassVar = 1

    def ms(self, query, centers, now): ...


@dataclass
class Thawed:
    def ms(self, query, centers, now): ...


@dataclass(frozen=True)
class NoMethod:
    varies_by: ClassVar = ()


@dataclass(frozen=True)
class ShortMethod:
    def ms(self, query): ...


@dataclass(frozen=True)
class OtherNames:
    def ms(self, q, c, *more): ...


class Plain:
    def ms(self, query, centers, now): ...


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (Good(), "expected a class"),
        (Plain, "Plain is not a frozen dataclass"),
        (Thawed, "Thawed is not a frozen dataclass"),
        (NoMethod, r"has no method ms\(query, centers, now\); add it"),
        (ShortMethod, r"found ms\(self, query\); expected ms\(query, centers, now\)"),
    ],
)
def test_a_class_that_does_not_keep_the_contract_is_refused(found, said):
    with pytest.raises(ConfigError, match=f"who: .*{said}|who: {said}"):
        check_class("scorers", found, "who")


@pytest.mark.parametrize("found", [Good, OtherNames])
def test_a_class_that_can_be_called_as_the_contract_says_is_accepted(found):
    check_class("scorers", found, "who")


def test_good_declarations_are_accepted():
    check_declarations("scorers", Good(), "who")


def changed(**declarations):
    return type("Changed", (Good,), declarations)()


@pytest.mark.parametrize(
    ("declarations", "said"),
    [
        ({"varies_by": ("origin",)}, r"varies_by = \('origin',\); expected a tuple of 'vantage'"),
        ({"varies_by": "vantage"}, "varies_by = 'vantage'; expected a tuple"),
        ({"reads": "rtt_ms"}, "reads = 'rtt_ms'; expected a tuple of column names"),
        ({"live": 1}, "live = 1; expected True or False"),
        ({"refresh_ms": -1}, "refresh_ms = -1; expected a number of ms >= 0"),
        (
            {"live": True, "varies_by": ("model", "tenant")},
            r"live = True and varies_by = \('model'",
        ),
        ({"live": True, "varies_by": None}, "live = True and varies_by = None"),
    ],
)
def test_a_declaration_that_cannot_be_used_is_refused(declarations, said):
    with pytest.raises(ConfigError, match=said):
        check_declarations("scorers", changed(**declarations), "who")


def test_a_missing_declaration_is_named():
    with pytest.raises(ConfigError, match="declares no reads; a scorer declares varies_by, reads"):
        check_declarations("scorers", NoMethod(), "who")


@pytest.mark.parametrize("sample", [0, "2", True])
def test_a_sample_is_none_or_a_number(sample):
    picker = type("Picker", (), {"sample": sample})()
    with pytest.raises(ConfigError, match="expected None or a number of centers >= 1"):
        check_declarations("pickers", picker, "who")


def test_columns_are_columns():
    source = type("Source", (), {"columns": {"ms": "f4"}, "period_s": 1.0})()
    with pytest.raises(ConfigError, match="expected a mapping from names to Column"):
        check_declarations("sources", source, "who")
