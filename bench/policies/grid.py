"""The grid: at which parameters every baseline is tried before it is compared.

Each baseline runs as its source publishes it and, where that has no network term, also within
the nearest ring first (the ``_ring`` form of the same policy); times every combination of the
parameters below. The point of the least p99 on the tuning seeds is the baseline. Ours is not
tuned: it runs at its shipped values everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

from bench.policies.cells import Arm
from gateway.config.settings import SHIPPED_POLICIES

OURS = "predicted_completion"
"""The label of our policy."""
RING = "_ring"
RING_WIDTHS_MS = (0.3, 5.0)
"""Widths tried beside the shipped 1 ms, with the other parameters as shipped."""
FAR_WIDTHS_MS = (5.0, 20.0, 50.0)
"""The same on a map, where the nearest ring of a millisecond is a handful of centers."""
RING_FORMS = {"least_request": "nearest_least_request"}
"""Ring forms that have a name of their own."""
ALWAYS_RINGED = ("nearest_least_request", "locality_two_choices")
"""Policies that have a ring by their own rule."""


@dataclass(frozen=True, slots=True)
class Knob:
    """A parameter of a plugin and the values it is tried at; ``why``: where they come from."""

    plugin: str
    parameter: str
    values: tuple[Any, ...]
    why: str


BASELINES: tuple[str, ...] = (
    "random",
    "round_robin",
    "nearest",
    "nearest_least_request",
    "least_request",
    "two_choices_least_request",
    "peak_ewma",
    "nginx_ewma",
    "prequal",
    "c3",
    "weighted_round_robin",
    "join_idle_queue",
    "locality_two_choices",
    "stale_jsq",
)

KNOBS: dict[str, tuple[Knob, ...]] = {
    "two_choices_least_request": (
        Knob("two_choices_least_request", "choice_count", (2, 4), "Envoy's default is 2"),
    ),
    "peak_ewma": (
        Knob("peak_ewma", "tau_s", (10.0, 1.0), "Finagle decays over 10 s; 1 s follows faster"),
    ),
    "nginx_ewma": (Knob("nginx_ewma", "tau_s", (10.0, 1.0), "ingress-nginx decays over 10 s"),),
    "prequal": (
        Knob("prequal", "reuse", (None, 1.0, 2.0), "None is the paper's equation, bounded by 16"),
        Knob("prequal", "q_rif", (0.84, 0.6), "2^-0.25 in the paper; a reproduction found .6"),
    ),
    "c3": (
        Knob("c3", "clients", (1, 4), "a gateway alone, or as many as the calibration fleet has"),
    ),
    "weighted_round_robin": (
        Knob("weighted_round_robin", "blackout_s", (10.0, 1.0), "gRPC waits 10 s for weights"),
        Knob("weighted_round_robin", "update_s", (1.0, 0.1), "gRPC renews them each second"),
    ),
    "locality_two_choices": (
        Knob("locality_two_choices", "tau_s", (5.0, 0.5), "Envoy averages over 5 s"),
    ),
}


def missing() -> list[str]:
    """Baselines that the shipped policies do not have."""
    return [label for label in BASELINES if label not in SHIPPED_POLICIES]


def points(label: str, widths_ms: tuple[float, ...] = RING_WIDTHS_MS) -> list[Arm]:
    """Every tuning point of a baseline, the shipped one first; empty when there is no such."""
    if label not in SHIPPED_POLICIES:
        return []
    bases = [name for name in (label, _ring_form(label)) if name in SHIPPED_POLICIES]
    arms = [
        Arm(label=label, policy=base, parameters=parameters)
        for base in bases
        for parameters in _combinations(label)
    ]
    return arms + [
        Arm(label=label, policy=name, parameters=((plugin, "ring_ms", width_ms),))
        for name, plugin in _ringed(label)
        for width_ms in widths_ms
    ]


def _ringed(label: str) -> Iterator[tuple[str, str]]:
    """The policy whose picker has a ring, and the picker's name."""
    name = label if label in ALWAYS_RINGED else _ring_form(label)
    if name in SHIPPED_POLICIES:
        picker = SHIPPED_POLICIES[name].picker
        yield name, picker if isinstance(picker, str) else picker["name"]


def _ring_form(label: str) -> str:
    return RING_FORMS.get(label, label + RING)


def _combinations(label: str) -> Iterator[tuple[tuple[str, str, Any], ...]]:
    knobs = KNOBS.get(label, ())
    for values in product(*(knob.values for knob in knobs)):
        yield tuple(
            (knob.plugin, knob.parameter, value) for knob, value in zip(knobs, values, strict=True)
        )
