"""Inference in MessagePack against a real gateway: the numbers are those of the JSON answer."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from gateway_models import repository

MODEL = "blast-furnace"
MSGPACK = "application/msgpack"
EXAMPLE = json.loads((Path(str(repository())) / MODEL / "example.json").read_text("utf-8"))


def packed(**more: Any) -> dict[str, Any]:
    inputs = [
        {**tensor, "data": np.asarray(tensor["data"], np.float32).tobytes()}
        for tensor in EXAMPLE["inputs"]
    ]
    return {"inputs": inputs, **more}


def ask(url: str, body: bytes, **headers: str) -> tuple[int, str, bytes]:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(f"{url}/v2/models/{MODEL}/infer", body, names)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.headers["content-type"], answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["content-type"], error.read()


@pytest.fixture(params=["hot", "aiohttp"], scope="module")
def url(request: Any, served: Any, start_gateway: Any, tmp_path_factory: Any) -> Any:
    """The shared gateway has the hot lane first; the other has aiohttp alone."""
    if request.param == "hot":
        yield served.url
        return
    config = tmp_path_factory.mktemp("lane") / "nearway.toml"
    config.write_text('[server]\nlane = "aiohttp"\n')
    with start_gateway("--config", str(config)) as gateway:
        yield gateway.url


def test_the_numbers_are_those_of_json(url: str) -> None:
    json_body = json.dumps({"inputs": EXAMPLE["inputs"]}).encode()
    status, _, told = ask(url, json_body, content_type="application/json")
    assert status == 200
    expected = json.loads(told)
    status, kind, told = ask(url, msgspec.msgpack.encode(packed(id="w-1")), content_type=MSGPACK)
    assert (status, kind) == (200, MSGPACK)
    answer = msgspec.msgpack.decode(told)
    assert (answer["id"], answer["model_name"]) == ("w-1", MODEL)
    for mine, other in zip(answer["outputs"], expected["outputs"], strict=True):
        assert (mine["name"], mine["shape"]) == (other["name"], other["shape"])
        mine_values = np.frombuffer(mine["data"], np.float32)
        assert np.allclose(mine_values, np.ravel(other["data"]), rtol=1e-6)


def test_either_side_may_be_json(url: str) -> None:
    body = msgspec.msgpack.encode(packed())
    status, kind, told = ask(url, body, content_type=MSGPACK, accept="application/json")
    assert (status, kind) == (200, "application/json")
    assert json.loads(told)["outputs"]
    body = json.dumps({"inputs": EXAMPLE["inputs"]}).encode()
    status, kind, told = ask(url, body, content_type="application/json", accept=MSGPACK)
    assert (status, kind) == (200, MSGPACK)
    assert isinstance(msgspec.msgpack.decode(told)["outputs"][0]["data"], bytes)


def test_what_is_wrong_is_named(url: str) -> None:
    twice = packed()
    twice["inputs"] *= 2
    short = packed()
    short["inputs"][0]["data"] = short["inputs"][0]["data"][:-1]
    for body, words in (
        (packed(extra=1), "unknown field `extra`"),
        (twice, "given twice"),
        (short, EXAMPLE["inputs"][0]["name"]),
    ):
        status, kind, told = ask(url, msgspec.msgpack.encode(body), content_type=MSGPACK)
        assert (status, kind) == (400, "application/json")
        assert words in json.loads(told)["error"]
