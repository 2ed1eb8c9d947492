"""Requests: what the gateway's own reader makes of them."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np

from bench.peers import workload
from gateway.wire.parameters import find_limits


def test_a_request_in_json_is_about_a_kilobyte_and_has_no_limits() -> None:
    asked = workload.json_request()
    assert 800 < len(asked.body) < 1_100
    assert len(json.loads(asked.body)["inputs"][0]["data"]) == workload.INPUTS
    assert find_limits(asked.body) == (None, None)


def test_the_deadline_is_one_the_gateway_finds() -> None:
    body = workload.json_request(timeout=True).body
    assert find_limits(body) == (workload.TIMEOUT_US, None)


def test_the_binary_tensor_holds_the_same_numbers() -> None:
    asked = workload.binary_request()
    size = int(asked.headers["Inference-Header-Content-Length"])
    head, raw = json.loads(asked.body[:size]), asked.body[size:]
    assert head["inputs"][0]["parameters"]["binary_data_size"] == len(raw)
    numbers = json.loads(workload.json_request().body)["inputs"][0]["data"]
    assert np.allclose(np.frombuffer(raw, dtype="<f4"), numbers)


def test_a_completion_is_as_large_as_an_inference() -> None:
    assert len(workload.completion_request().body) == len(workload.json_request().body)


def test_answers_have_what_a_request_waits_for() -> None:
    assert workload.json_request().within in workload.infer_answer()
    assert workload.completion_request().within in workload.completion_answer()


def test_origins_are_the_same_every_time_and_large_cities_come_often() -> None:
    drawn = workload.origins()
    assert drawn == workload.origins()
    counts = Counter(drawn)
    assert len(drawn) == workload.ORIGINS
    assert len(counts) > 50
    assert counts["Shanghai"] > counts.most_common()[-1][1]
