from __future__ import annotations

import pytest

from gateway.api import ConfigError
from gateway.loading import Registry


def test_what_is_installed_is_found():
    rows = {(row["kind"], row["name"]): row for row in Registry.discover().rows()}
    assert ("filter", "healthy") in rows
    network = rows["scorer", "network"]
    assert network["varies_by"] == "vantage, live"
    assert network["reads"] == ["rtt_ms"]
    assert network["distribution"].startswith("nearway ")
    assert all(row["error"] == "" for row in rows.values())


def test_a_row_tells_what_a_plugin_is_and_takes(registry):
    rows = {row["name"]: row for row in registry.rows()}
    assert rows["toll"] == {
        "kind": "scorer",
        "name": "toll",
        "class": "acme.scorers:toll",
        "doc": "Charges a toll.",
        "varies_by": "vantage and tenant",
        "reads": [],
        "parameters": {"ms_each": "required", "names": (), "by_tenant": {}},
        "distribution": "acme 1.0",
        "error": "",
    }
    assert rows["up"]["doc"] == "Keeps what is up."
    assert (rows["up"]["varies_by"], rows["first"]["varies_by"]) == ("nothing", "")


def test_rows_come_by_kind_in_the_order_of_the_sentence(registry):
    assert [row["kind"] for row in registry.rows()] == [
        "filter",
        "scorer",
        "scorer",
        "picker",
        "observer",
    ]


def test_one_that_cannot_be_imported_fails_when_it_is_named_and_shows_in_rows(offers, make_offer):
    broken = make_offer("scorers", "broken", ImportError("no module named torch"))
    registry = Registry([*offers, broken])
    assert registry.get("scorers", "toll", "here")
    with pytest.raises(
        ConfigError, match=r"here: scorer 'broken' .*cannot be imported: ImportError: no module"
    ):
        registry.get("scorers", "broken", "here")
    assert "no module named torch" in {r["name"]: r["error"] for r in registry.rows()}["broken"]


def test_two_distributions_that_offer_one_name_are_refused_when_it_is_named(offers, make_offer):
    registry = Registry([*offers, make_offer("scorers", "toll", int, "rival 2.0")])
    with pytest.raises(ConfigError, match=r"offered by acme 1\.0 and rival 2\.0"):
        registry.get("scorers", "toll", "here")


def test_an_offer_that_is_no_plugin_says_where_it_comes_from(make_offer):
    registry = Registry([make_offer("scorers", "wrong", int)])
    with pytest.raises(ConfigError, match=r"'wrong' \(acme\.scorers:wrong, from acme 1\.0\)"):
        registry.get("scorers", "wrong", "here")


def test_added_offers_stand_in_for_those_of_the_same_kind_and_name(offers, make_offer):
    class Other:
        pass

    known = Registry(offers)
    more = known.plus([make_offer("scorers", "toll", Other, "here"), *offers[:0]])
    assert len(more.rows()) == len(known.rows())
    assert {row["distribution"] for row in more.rows() if row["name"] == "toll"} == {"here"}
    assert known.rows()[1]["distribution"] != "here"
