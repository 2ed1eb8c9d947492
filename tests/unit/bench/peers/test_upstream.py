"""The static upstream: it says all that proxies and gateways ask of a server."""

from __future__ import annotations

import json

import pytest

from bench.peers.upstream import nginx_config, replies
from bench.peers.workload import COMPLETIONS, INFER


def test_one_worker_listens_on_every_port() -> None:
    config = nginx_config([9001, 9002, 9003])
    assert "worker_processes 1;" in config
    assert all(f"listen 127.0.0.1:{port};" in config for port in (9001, 9002, 9003))
    assert config.count("{") == config.count("}")


@pytest.mark.parametrize(
    "path",
    [INFER, COMPLETIONS, "/health", "/v1/models", "/v2/health/ready", "/v2/models/mlp/ready"],
)
def test_every_answer_is_json(path: str) -> None:
    json.loads(replies()[path])
    assert f"location = {path} " in nginx_config([1])


def test_the_index_has_the_one_model_ready() -> None:
    assert json.loads(replies()["/v2/repository/index"]) == [
        {"name": "mlp", "version": "1", "state": "READY"}
    ]


def test_no_answer_breaks_its_quotes() -> None:
    assert all("'" not in body and "$" not in body for body in replies().values())
