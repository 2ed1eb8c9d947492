"""Every example of docs/examples, run as it stands against a real gateway."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
ANSWER = "A tuyere is a nozzle that blows hot air into the furnace."
WITHIN_S = 60.0
OTHER_PYTHON = os.environ.get("EXAMPLES_PYTHON", sys.executable)
"""The interpreter that has a client which is not installed here."""
SAYS: dict[str, tuple[str, ...]] = {
    "curl.sh": ('"model_name":"blast-furnace"', ANSWER, "data: [DONE]"),
    "openai_client.py": ("'industry-chat'", ANSWER, " tokens", "alike 0."),
    "langchain_client.py": (f"{ANSWER}\n{ANSWER}\n", "128 numbers"),
    "triton_http.py": ("temperature_c",),
    "triton_grpc.py": ("temperature_c", "window 2"),
    "reflection.py": ("inference.GRPCInferenceService", '"blast-furnace"'),
    "kserve_client.py": ("ready True", "temperature_c [1"),
    "fetch.mjs": ("temperature_c", "answered by ", ANSWER),
}
MODULES = {
    "openai_client.py": "openai",
    "langchain_client.py": "langchain_openai",
    "triton_http.py": "tritonclient",
    "triton_grpc.py": "tritonclient",
    "reflection.py": "grpc_reflection",
    "kserve_client.py": "kserve",
}
PROGRAMS = {"curl.sh": "curl", "fetch.mjs": "node"}
GRPC = ("triton_grpc.py", "reflection.py")


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Any]) -> Iterator[Any]:
    flags = ("--grpc-port", "0") if importlib.util.find_spec("grpc") else ()
    with start_gateway(*flags) as running:
        yield running


def test_every_example_is_run_and_listed() -> None:
    files = {path.name for path in EXAMPLES.iterdir() if path.suffix != ".md"}
    assert files - {"__pycache__"} == set(SAYS)
    index = (EXAMPLES / "README.md").read_text()
    assert [name for name in SAYS if f"({name})" not in index] == []


def command(name: str) -> list[str]:
    """What runs an example; empty where that is not installed."""
    if name in PROGRAMS:
        program = PROGRAMS[name]
        if shutil.which(program) is None:
            return []
        return ["sh" if name.endswith(".sh") else program]
    if importlib.util.find_spec(MODULES[name]) is not None:
        return [sys.executable]
    found = subprocess.run([OTHER_PYTHON, "-c", f"import {MODULES[name]}"], capture_output=True)
    return [] if found.returncode else [OTHER_PYTHON]


@pytest.fixture(scope="module")
def started(gateway: Any) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """All of them, at once."""
    running: dict[str, subprocess.Popen[str]] = {}
    for name in SAYS:
        called = command(name)
        address = gateway.address if name == "triton_http.py" else gateway.url
        if called:
            running[name] = subprocess.Popen(
                [*called, str(EXAMPLES / name), gateway.grpc if name in GRPC else address],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
    yield running
    for process in running.values():
        process.kill()
        process.communicate()


@pytest.mark.parametrize("name", SAYS)
def test_an_example_runs_as_it_stands(started: dict[str, subprocess.Popen[str]], name: str) -> None:
    if name not in started:
        pytest.skip(
            f"{PROGRAMS.get(name) or MODULES[name]} is not installed; EXAMPLES_PYTHON may name an "
            "interpreter that has a client"
        )
    said, complaint = started[name].communicate(timeout=WITHIN_S)
    assert started[name].returncode == 0, complaint
    if name == "curl.sh":
        assert said.count("data: ") > 10
    missing = [words for words in SAYS[name] if words not in said]
    assert not missing, said
