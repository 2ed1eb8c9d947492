"""The unit, container file and manifests of the production page: what they say exists."""

from __future__ import annotations

import configparser
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.config.fleet_file import load_fleet
from gateway.config.load import load_settings
from gateway.serving.openapi import document

ROOT = Path(__file__).resolve().parents[2]
OPERATIONS = ROOT / "docs" / "operations"
COMMANDS = (ROOT / "docs" / "commands.md").read_text()
MANIFESTS: dict[str, dict[str, Any]] = {
    one["kind"]: one for one in yaml.safe_load_all((OPERATIONS / "kubernetes.yaml").read_text())
}


def unit() -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(OPERATIONS / "nearway.service")
    return dict(parser["Service"])


def entrypoint() -> list[str]:
    text = (OPERATIONS / "Containerfile").read_text()
    (told,) = re.findall(r"^ENTRYPOINT (\[.*\])$", text, re.MULTILINE)
    return list(json.loads(told))


def test_every_command_line_is_one_that_is_documented() -> None:
    service = unit()
    lines = [shlex.split(service[key]) for key in ("ExecStartPre", "ExecStart")]
    for words in [*lines, entrypoint()]:
        assert words[0].rpartition("/")[2] == "nearway"
        command = " ".join(word for word in words[1:3] if word.isalpha())
        assert f"## nearway {words[1]}" in COMMANDS or f"nearway {command}" in COMMANDS
        for option in words:
            assert not option.startswith("--") or f"`{option}`" in COMMANDS
    assert "-HUP" in service["ExecReload"]


def test_all_stop_later_than_the_drain() -> None:
    drain_s = load_settings(None).settings.server.drain_s
    pod = MANIFESTS["Deployment"]["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > drain_s
    assert int(unit()["TimeoutStopSec"]) > drain_s


def test_the_config_of_the_pod_is_a_config(tmp_path: Path) -> None:
    for name, text in MANIFESTS["ConfigMap"]["data"].items():
        (tmp_path / name).write_text(text)
    settings = load_settings(tmp_path / "nearway.toml").settings
    assert settings.server.host == "0.0.0.0"
    assert settings.server.admin_host == "127.0.0.1"
    (center,) = load_fleet(Path(settings.fleet.file), "all")
    assert center.url == "http://triton-paris:8000"


@pytest.mark.parametrize("probe", ["readinessProbe", "livenessProbe"])
def test_probes_ask_routes_that_are_there(probe: str) -> None:
    (container,) = MANIFESTS["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container[probe]["httpGet"]["path"] in document("1")["paths"]
    assert container["ports"][0]["containerPort"] == load_settings(None).settings.server.port


def test_the_parts_name_one_another() -> None:
    pod = MANIFESTS["Deployment"]["spec"]["template"]
    assert pod["metadata"]["labels"] == MANIFESTS["Service"]["spec"]["selector"]
    assert (
        pod["spec"]["volumes"][0]["configMap"]["name"] == MANIFESTS["ConfigMap"]["metadata"]["name"]
    )
    mount = pod["spec"]["containers"][0]["volumeMounts"][0]["mountPath"]
    assert Path(entrypoint()[-1]).parent == Path(mount)
