"""Configs of the arms: what is written is what each peer reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.peers.arms import ARMS, DEFAULT
from bench.peers.arms.ours import config_toml, fleet_toml, the_center, write_config
from bench.peers.arms.proxies import envoy_config, haproxy_config, nginx_config
from bench.peers.arms.routers import litellm_config
from gateway.config import load_settings
from gateway.config.fleet_file import load_fleet

UPSTREAMS = (9001, 9002, 9003)


def test_names_are_all_different_and_every_row_has_a_request() -> None:
    names = [arm.name for arm in ARMS]
    assert len(set(names)) == len(names)
    rows = [row for arm in ARMS for row in arm.asked()]
    assert len(set(rows)) == len(rows)
    assert {arm.name for arm in ARMS} - {arm.name for arm in DEFAULT} == {"Portkey"}


def test_the_fleet_has_every_center_and_shares_out_the_urls(tmp_path: Path) -> None:
    shipped = load_fleet(None, "all")
    urls = [f"http://127.0.0.1:{port}" for port in UPSTREAMS]
    path = tmp_path / "fleet.toml"
    path.write_text(fleet_toml(shipped, urls))
    read = load_fleet(path, "all")
    assert [(c.id, c.region, c.zone, c.city) for c in read] == [
        (c.id, c.region, c.zone, c.city) for c in shipped
    ]
    assert [c.url for c in read[:4]] == [*urls, urls[0]]
    assert {c.emulate for c in read} == {"none"}
    assert {c.models for c in read} == {("*",)}


def test_a_center_without_a_url_is_in_the_process(tmp_path: Path) -> None:
    path = tmp_path / "fleet.toml"
    path.write_text(fleet_toml([the_center()], [None]))
    (center,) = load_fleet(path, "all")
    assert (center.id, center.url, center.emulate) == ("cn-east-4b", None, "none")


def test_the_config_changes_nothing_but_ports_fleet_and_models(tmp_path: Path) -> None:
    config = write_config(tmp_path, fleet_toml([the_center()], [None]), tmp_path)
    ours = {key: value for key, value, _ in load_settings(config).rows()}
    shipped = {key: value for key, value, _ in load_settings().rows()}
    assert {key for key in ours if ours[key] != shipped[key]} <= {
        *("server.port", "server.admin_port", "gateway.location", "fleet.file"),
        *("models.dirs", "models.shipped", "telemetry.log_level"),
    }


def test_paths_with_quotes_survive_the_config(tmp_path: Path) -> None:
    assert json.dumps(str(tmp_path / 'a"b')) in config_toml(tmp_path / 'a"b', None)


@pytest.mark.parametrize("config", [nginx_config, haproxy_config, envoy_config])
def test_proxies_balance_over_all_upstreams(config: object) -> None:
    assert callable(config)
    text = config(8000, UPSTREAMS)
    assert all(str(port) in text for port in (8000, *UPSTREAMS))
    assert text.count("{") == text.count("}")


def test_envoy_asks_the_least_loaded() -> None:
    read = json.loads(envoy_config(8000, UPSTREAMS))
    (cluster,) = read["static_resources"]["clusters"]
    assert cluster["lb_policy"] == "LEAST_REQUEST"
    assert len(cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]) == 3


def test_litellm_has_one_name_for_all_upstreams() -> None:
    entries = json.loads(litellm_config(["http://a", "http://b"]))["model_list"]
    assert {entry["model_name"] for entry in entries} == {"mlp"}
    assert [e["litellm_params"]["api_base"] for e in entries] == ["http://a/v1", "http://b/v1"]
