from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest

from gateway.api import ConfigError
from gateway.config import SHIPPED_POLICIES, Policy
from gateway.loading import Registry, build_policy

STANDARD = (
    *("healthy", "queue_ms", "rtt_ms", "service_ms", "service_spread", "resident", "slots"),
    "in_flight",
)
TOLL = {"name": "toll", "ms_each": 3}


def build(registry, **changes):
    settings = {"filters": ("up",), "scorers": (TOLL,), "picker": "first", **changes}
    return build_policy("mine", Policy(**settings), registry, STANDARD)


def test_names_and_tables_become_instances_in_order(registry):
    toll = {"name": "toll", "ms_each": 3, "names": ["a", "b"], "by_tenant": {"x": 1.5}}
    built = build(registry, scorers=(toll, "seen"), observers=("watch",))
    assert built.name == "mine"
    assert [named.name for named in built.scorers] == ["toll", "seen"]
    plugin = built.scorers[0].plugin
    assert (plugin.ms_each, plugin.names, plugin.by_tenant) == (3.0, ("a", "b"), {"x": 1.5})
    assert built.picker.name == "first"


@pytest.mark.parametrize("policy", SHIPPED_POLICIES)
def test_every_shipped_policy_builds_from_what_is_installed(policy):
    registry = Registry.discover()
    built = build_policy(policy, SHIPPED_POLICIES[policy], registry, STANDARD)
    assert built.scorers


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"scorers": ("tol",)},
            r"policies\.mine\.scorers\[0\]: no scorer is called 'tol'; did you mean 'toll'\? "
            r"known: seen \(acme 1\.0\), toll \(acme 1\.0\)",
        ),
        ({"filters": ("up", "toll")}, r"filters\[1\]: 'toll' is a scorer, not a filter; move it"),
        ({"scorers": ("toll",)}, r"scorers\[0\] \(toll\): parameter 'ms_each' is missing"),
        (
            {"scorers": ({**TOLL, "nmaes": []},)},
            r"unknown parameter 'nmaes'; did you mean 'names'\? it takes ms_each, names, by_tenant",
        ),
        (
            {"scorers": ({"name": "toll", "ms_each": "3"},)},
            r"scorers\[0\] \(toll\): Expected `float`, got `str` - at `\$\.ms_each`.*found.*'3'",
        ),
        ({"scorers": ({"name": "toll", "ms_each": -1},)}, r"ms_each = -1.0; expected >= 0"),
        ({"scorers": ({"ms_each": 1},)}, r'scorers\[0\]: found .*expected "NAME" or'),
        ({"filters": ({"name": "up", "x": 1},)}, "unknown parameter 'x'; it takes no parameter"),
        ({"filters": ("up", "up")}, r"filters\[1\]: 'up' is listed already at 0"),
        ({"scorers": ()}, "scorers: found none"),
        ({"picker": "second"}, r"policies\.mine\.picker: no picker is called 'second'"),
        (
            {"scorers": ("seen",)},
            r"scorers\[0\] \(seen\): reads column 'watch\.seen', which nothing in this policy "
            r"provides; add 'watch' to observers",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(registry, changes, said):
    with pytest.raises(ConfigError, match=said):
        build(registry, **changes)


def test_a_column_nobody_knows_gets_a_close_name(offers, make_offer):
    @dataclass(frozen=True)
    class Typo:
        varies_by: ClassVar = ()
        reads: ClassVar = ("rtt_m",)
        live: ClassVar = False
        refresh_ms: ClassVar = 1.0

        def ms(self, query, centers, now): ...

    registry = Registry([*offers, make_offer("scorers", "typo", Typo)])
    with pytest.raises(ConfigError, match=r"'rtt_m', which nothing.*did you mean 'rtt_ms'"):
        build(registry, scorers=("typo",))
