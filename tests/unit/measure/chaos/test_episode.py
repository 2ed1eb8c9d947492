"""An episode's own pieces; a whole one is played in the integration test."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
from gateway_models import repository

from gateway.measure.chaos.answers import Checker, known_answers
from gateway.measure.chaos.episode import (
    Load,
    asked,
    cpu_ticks,
    open_loop_plan,
    own_ticks,
    since,
)
from gateway.measure.samples import Samples

KNOWN = known_answers(repository(), "blast-furnace")
LOAD = Load("blast-furnace", KNOWN, 100.0, 1.0, 2.0, "Suzhou")


def test_the_budget_and_the_origin_go_with_every_request() -> None:
    plan = open_loop_plan("http://127.0.0.1:1", LOAD)
    assert plan.headers["x-request-timeout-ms"] == "3000"
    assert plan.origins == ("Suzhou",)
    assert plan.path == "/v2/models/blast-furnace/infer"
    assert not plan.polls
    assert plan.times_s.max() < 3.0


def test_inputs_are_drawn_among_those_whose_answers_are_known() -> None:
    check = Checker(KNOWN)
    plan = asked(open_loop_plan("http://127.0.0.1:1", LOAD), KNOWN, check, seed=1)
    assert plan.variant is not None
    assert plan.variant.size == plan.times_s.size
    assert len(set(plan.variant.tolist())) > len(KNOWN.variants) / 2
    assert plan.headers["Content-Type"] == "application/octet-stream"
    again = asked(replace(plan), KNOWN, check, seed=1)
    assert again.variant is not None
    assert (again.variant == plan.variant).all()


def test_times_count_from_the_end_of_the_warm_up() -> None:
    zeros = np.zeros(4)
    whole = Samples(
        np.array([0.5, 1.0, 1.5, 2.0]),
        zeros.astype(np.int32),
        np.full(4, 200, np.int32),
        *(zeros for _ in range(7)),
        zeros.astype(np.int32),
    )
    assert since(whole, 1.0).intended_s.tolist() == [0.0, 0.5, 1.0]
    assert whole.intended_s[0] == 0.5


def test_processes_that_are_gone_have_no_ticks() -> None:
    assert set(own_ticks([os.getpid(), 2**22 + 1])) <= {os.getpid()}
    busy, whole = cpu_ticks()
    assert 0 <= busy <= whole
