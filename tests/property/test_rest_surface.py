"""Bad input at the public door: whatever comes, an answer the OpenAPI document declares.

The operations, their statuses and their schemas are those of the document the server itself
serves. Hypothesis draws paths, queries, headers and bodies around valid ones; raw sockets say
what no HTTP client would. Every test ends with a look at the gateway: alive, the same answer to
the same request as before, nothing left in flight.
"""

from __future__ import annotations

import gzip
import http.client
import json
import random
import re
import socket
import struct
import time
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

ANSWER_WITHIN_S = 15.0
"""A client that waits longer calls it a hang: half of the gateway's own deadline."""
BUDGET_MS = "10000"
JSON = "application/json"
BINARY = "application/octet-stream"
LENGTH = "inference-header-content-length"
MODELS: dict[str, dict[str, tuple[int, ...]]] = {
    "blast-furnace": {"window": (24, 12)},
    "grid-load": {"load_mw": (168,), "forecast": (24, 3)},
}
BOMB = gzip.compress(bytes(20 * 1024 * 1024))
Headers = dict[str, str]
Reply = tuple[int, dict[str, str], bytes]

# ---- the surface ---------------------------------------------------------------------------


@dataclass
class Operation:
    """One method at one path of the document."""

    method: str
    path: str
    responses: dict[str, Any]

    @property
    def infers(self) -> bool:
        return self.path.endswith("/infer")


@dataclass
class Surface:
    """The document, its operations and a validator of answers."""

    address: str
    components: dict[str, Any]
    operations: list[Operation]
    validators: dict[str, Draft202012Validator] = field(default_factory=dict)
    statuses: dict[int, int] = field(default_factory=dict)

    def validate(self, schema: dict[str, Any], document: Any) -> None:
        key = json.dumps(schema)
        if key not in self.validators:
            whole = {**schema, "components": self.components}
            self.validators[key] = Draft202012Validator(whole)
        self.validators[key].validate(document)


@pytest.fixture(scope="module")
def surface(served: Any) -> Surface:
    with urllib.request.urlopen(f"{served.url}/openapi.json", timeout=ANSWER_WITHIN_S) as answer:
        told = json.load(answer)
    operations = [
        Operation(method.upper(), path, item[method]["responses"])
        for path, item in told["paths"].items()
        for method in sorted({"get", "post"} & set(item))
    ]
    assert len(operations) >= 18
    return Surface(served.address, told["components"], operations)


def call(
    address: str, method: str, target: str, headers: Headers | None = None, body: bytes = b""
) -> Reply:
    """One request on a connection of its own; a silent server raises TimeoutError."""
    connection = http.client.HTTPConnection(address, timeout=ANSWER_WITHIN_S)
    try:
        connection.request(method, target, body or None, headers or {})
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def check_reply(surface: Surface, operation: Operation, reply: Reply) -> None:
    status, headers, body = reply
    surface.statuses[status] = surface.statuses.get(status, 0) + 1
    assert status != 500, body
    assert str(status) in operation.responses, (status, body)
    kind = headers["content-type"].partition(";")[0]
    if status >= 400:
        assert kind == JSON
        document = json.loads(body)
        assert headers["x-request-id"]
        if operation.path.startswith("/v1/"):
            surface.validate(operation.responses[str(status)]["content"][JSON]["schema"], document)
            assert document["error"]["message"]
            return
        told = {"error", "reason"} if status in (429, 503, 504) else {"error"}
        assert document.keys() == told
        assert isinstance(document["error"], str)
        assert document["error"]
        return
    body = unpacked(headers, body)
    content = operation.responses["200"]["content"]
    assert kind in content
    if kind == JSON:
        surface.validate(content[kind]["schema"], json.loads(body))
    elif kind == BINARY:
        check_binary_answer(surface, content[JSON]["schema"], headers, body)


def unpacked(headers: Headers, body: bytes) -> bytes:
    encoding = headers.get("content-encoding")
    if encoding is None:
        return body
    return gzip.decompress(body) if encoding == "gzip" else zlib.decompress(body)


def check_binary_answer(
    surface: Surface, schema: dict[str, Any], headers: Headers, body: bytes
) -> None:
    head_bytes = int(headers[LENGTH])
    head = json.loads(body[:head_bytes])
    surface.validate(schema, head)
    sizes = [o.get("parameters", {}).get("binary_data_size", 0) for o in head["outputs"]]
    assert head_bytes + sum(sizes) == len(body)


# ---- the gateway afterwards ----------------------------------------------------------------


def good_request(model: str = "grid-load", batch: int = 1) -> dict[str, Any]:
    draw = random.Random(batch)
    inputs = []
    for name, shape in MODELS[model].items():
        count = batch
        for size in shape:
            count *= size
        data = [round(draw.random(), 3) for _ in range(count)]
        inputs.append(
            {"name": name, "shape": [batch, *shape], "datatype": "FP32", "data": data}
        )  # fmt: skip
    return {"id": "1", "inputs": inputs}


def good_answer(address: str) -> Any:
    body = json.dumps(good_request()).encode()
    headers = {"content-type": JSON}
    status, _, answer = call(address, "POST", "/v2/models/grid-load/infer", headers, body)
    assert status == 200, answer
    return json.loads(answer)["outputs"]


def in_flight(served: Any) -> tuple[float, int]:
    """Requests the door counts, and attempts the fleet counts."""
    _, _, text = call(served.address, "GET", "/metrics")
    gauge = re.search(rb"^nearway_requests_in_flight (\S+)$", text, re.MULTILINE)
    assert gauge is not None
    fleet = served.admin("GET", "/fleet")["centers"]
    return float(gauge.group(1)), sum(center["in_flight"] for center in fleet)


@contextmanager
def unharmed(served: Any) -> Iterator[None]:
    """The gateway after the block is the gateway before it."""
    before = good_answer(served.address)
    yield
    until_s = time.monotonic() + ANSWER_WITHIN_S
    while (left := in_flight(served)) != (0.0, 0) and time.monotonic() < until_s:
        time.sleep(0.02)
    assert left == (0.0, 0)
    assert good_answer(served.address) == before
    assert served.process.poll() is None
    assert served.admin("GET", "/state")["ready"] is True


# ---- strategies: heads ---------------------------------------------------------------------

ENCODED_ODDLY = (".", "..", "%2e%2e", "%", "%zz", "%00", "%0d%0a", "%ff%fe", "%ED%A0%80",
                 "a%2Fb", "%2F", "grid-load%2Finfer", "*", "a" * 4000)  # fmt: skip
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VISIBLE = st.text(
    st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=20
)
SEGMENTS = st.one_of(
    st.sampled_from([*MODELS, "rail-inspection"]),
    st.sampled_from(ENCODED_ODDLY),
    # A name with a brace, or without a character, leads to no route.
    TEXT.map(lambda text: re.sub("[{}]", "", text) or "_").map(lambda text: quote(text, safe="")),
)
QUERIES = st.one_of(st.just(""), st.just("?"), TEXT.map(lambda text: "?" + quote(text, safe="=&")))
NUMBERS = ("0", "1", "-1", "007", "1e3", "1_0", "NaN", "inf", "9" * 30, "1.5", "5e-324", " ", "²")
MEDIA = (JSON, BINARY, f"{JSON}; charset=x", "text/plain", "application/", ";", "")
CODINGS = ("gzip", "deflate", "identity", "br", "gzip, gzip", "", "GZIP;q=0", "*;q=1")
PLACES = ("Wuhu", "Shanghai, CN", "31.22,121.46", "91,0", "nan,nan", "1e400,0", ",", "Atlantis")
HEADERS: dict[str, tuple[str, ...]] = {
    "content-type": MEDIA,
    "content-encoding": CODINGS,
    "accept-encoding": CODINGS,
    LENGTH: NUMBERS,
    "x-request-timeout-ms": NUMBERS,
    "x-nearway-origin": PLACES,
    "x-nearway-tenant": ("t", "t" * 200),
    "x-nearway-explain": ("1", "2"),
    "x-request-id": ("r", "r" * 200, "two words"),
    "cf-iplatitude": NUMBERS,
    "cf-iplongitude": NUMBERS,
    "expect": ("100-continue", "100-Continue, x", "a-miracle"),
    "connection": ("close", "keep-alive", "upgrade"),
    "upgrade": ("websocket",),
}


@st.composite
def odd_headers(draw: st.DrawFn, most: int = 3) -> Headers:
    names = draw(st.lists(st.sampled_from(sorted(HEADERS)), max_size=most, unique=True))
    return {
        name: draw(st.one_of(st.sampled_from(HEADERS[name]), VISIBLE)).strip() for name in names
    }


@st.composite
def targets(draw: st.DrawFn, operation: Operation) -> str:
    """The operation's path, filled in. The shared gateway keeps the models it has loaded."""
    segments = SEGMENTS
    if operation.path.endswith("load"):
        segments = SEGMENTS.filter(lambda segment: segment not in (*MODELS, "rail-inspection"))
    path = re.sub(r"{\w+}", lambda _: draw(segments), operation.path)
    return path + draw(st.sampled_from(["", "/"])) + draw(QUERIES)


# ---- strategies: bodies --------------------------------------------------------------------

DEEP = "@deep@"
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 3),
    st.sampled_from([2**31, -(2**63), 2**64, 10**400, -1.5, 1e39, float("nan"), float("inf")]),
    st.sampled_from([DEEP, "FP16", "BF16", "BYTES", "INT64", "", "x" * 5000]),
    TEXT,
    st.lists(st.integers(-1, 200), max_size=4),
    st.dictionaries(TEXT, st.integers(), max_size=2),
)
PARAMETERS = ("binary_data", "binary_data_output", "binary_data_size", "classification", "priority",
              "sequence_id", "shared_memory_region", "timeout")  # fmt: skip
NAMES = st.sampled_from(
    ["id", "inputs", "outputs", "parameters", "name", "shape", "datatype", "data", *PARAMETERS]
)
REQUESTED = st.lists(
    st.fixed_dictionaries(
        {"name": st.one_of(st.sampled_from(["load_mw_next", "state", "temperature_c"]), TEXT)},
        optional={"parameters": st.dictionaries(st.sampled_from(PARAMETERS), JUNK, max_size=2)},
    ),
    max_size=3,
)


def containers(document: Any) -> list[Any]:
    """Every dict and list in the document that has something to change, outermost first."""
    found = [document] if isinstance(document, dict | list) and document else []
    inside: Any = ()
    if isinstance(document, dict):
        inside = document.values()
    elif isinstance(document, list):
        inside = document[:8]
    for value in inside:
        found += containers(value)
    return found


def mutate(draw: st.DrawFn, document: dict[str, Any]) -> None:
    """Drop, repeat, rename or replace one thing, in place."""
    places = containers(document)
    if not places:
        return
    place = draw(st.sampled_from(range(len(places))))
    target = places[place]
    if isinstance(target, list):
        at = draw(st.integers(0, min(len(target), 8) - 1))
        how = draw(st.sampled_from(["drop", "repeat", "replace"]))
        if how == "repeat":
            target.append(target[at])
            return
    else:
        at = draw(st.sampled_from(sorted(target)))
        how = draw(st.sampled_from(["drop", "rename", "replace", "add"]))
        if how == "rename":
            target[draw(NAMES)] = target[at]
        elif how == "add":
            target[draw(NAMES)] = draw(JUNK)
            return
    if how in ("drop", "rename"):
        del target[at]
    else:
        target[at] = draw(JUNK)


def spelled(document: Any, depth: int) -> bytes:
    """As JSON, with NaN and Infinity as Python spells them and DEEP as open brackets."""
    text = json.dumps(document)
    return text.replace(f'"{DEEP}"', "[" * depth + "1" + "]" * depth).encode()


@st.composite
def json_bodies(draw: st.DrawFn, model: str) -> tuple[bytes, Headers]:
    document = good_request(model, draw(st.sampled_from([1, 1, 2])))
    if draw(st.booleans()):
        document["outputs"] = draw(REQUESTED)
    if draw(st.booleans()):
        document["parameters"] = draw(
            st.dictionaries(st.sampled_from(PARAMETERS), JUNK, max_size=2)
        )
    for _ in range(draw(st.integers(0, 2))):
        mutate(draw, document)
    body = spelled(document, draw(st.sampled_from([3, 900, 60_000])))
    if draw(st.integers(0, 7)) == 0:
        body = body.replace(b'{"', b'{"inputs":[],"', 1)
    return body, {"content-type": JSON}


@st.composite
def binary_bodies(draw: st.DrawFn, model: str) -> tuple[bytes, Headers]:
    """Head and tensors behind it; the sizes are sometimes wrong."""
    document = good_request(model)
    tail = b""
    off = st.sampled_from([0, 0, 0, 0, -1, 4, -(2**40), 2**62])
    for tensor in document["inputs"]:
        data = tensor.pop("data")
        packed = struct.pack(f"<{len(data)}f", *data)
        tensor["parameters"] = {"binary_data_size": len(packed) + draw(off)}
        tail += packed
    document["parameters"] = {"binary_data_output": draw(st.booleans())}
    if draw(st.booleans()):
        mutate(draw, document)
    head = spelled(document, 3)
    tail = tail[: len(tail) + min(0, draw(st.sampled_from([0, 0, 0, -1, -5])))]
    claimed = max(-1, min(len(head) + draw(off), 10**9))
    return head + tail, {"content-type": BINARY, LENGTH: str(claimed)}


def broken(draw: st.DrawFn, body: bytes) -> bytes:
    """The same bytes, spoilt as bytes."""
    how = draw(st.sampled_from(["cut", "flip", "utf-8", "bom", "utf-16", "noise", "nothing"]))
    at = draw(st.integers(0, max(0, len(body) - 1)))
    if how == "cut":
        return body[:at]
    if how == "flip":
        return body[:at] + bytes([draw(st.integers(0, 255))]) + body[at + 1 :]
    if how == "utf-8":
        return body[:at] + b"\xff\xc0\x80\xed\xa0\x80" + body[at:]
    if how == "bom":
        return b"\xef\xbb\xbf" + body
    if how == "utf-16":
        return body.decode("latin-1").encode("utf-16")
    return draw(st.binary(max_size=64)) if how == "noise" else b""


def packed(draw: st.DrawFn, body: bytes, headers: Headers) -> bytes:
    """The body under a content-encoding, which it does not always have."""
    coding = draw(st.sampled_from(["gzip", "deflate"]))
    headers["content-encoding"] = coding
    whole = gzip.compress(body, mtime=0) if coding == "gzip" else zlib.compress(body)
    how = draw(st.sampled_from(["whole", "whole", "cut", "more", "plain", "bomb"]))
    return {"whole": whole, "cut": whole[:-3], "more": whole + b"x", "plain": body, "bomb": BOMB}[
        how
    ]


@st.composite
def bodies(draw: st.DrawFn) -> tuple[bytes, Headers]:
    """A body around a valid one, and the headers it needs."""
    model = draw(st.sampled_from(sorted(MODELS)))
    form = draw(st.sampled_from([json_bodies, json_bodies, binary_bodies]))
    body, headers = draw(form(model))
    spoil = draw(st.integers(0, 5))
    if spoil == 0:
        body = broken(draw, body)
    elif spoil == 1:
        body = packed(draw, body, headers)
    headers["x-request-timeout-ms"] = BUDGET_MS
    return body, headers


@st.composite
def control_bodies(draw: st.DrawFn) -> tuple[bytes, Headers]:
    """For load, unload and the index."""
    document = draw(
        st.one_of(
            JUNK,
            st.dictionaries(
                st.sampled_from(["repository_name", "ready", "parameters", "x"]),
                st.one_of(JUNK, st.dictionaries(st.sampled_from(["config", "file:1"]), JUNK)),
                max_size=3,
            ),
        )
    )
    body, headers = spelled(document, draw(st.sampled_from([3, 900, 30_000]))), {}
    spoil = draw(st.integers(0, 3))
    if spoil == 0:
        body = broken(draw, body)
    elif spoil == 1:
        body = packed(draw, body, headers)
    return body, headers


# ---- the properties ------------------------------------------------------------------------


def small_or_soak(small: int, soak: int) -> pytest.MarkDecorator:
    long = pytest.param(soak, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])
    return pytest.mark.parametrize("examples", [small, long])


def hold(examples: int, strategy: st.SearchStrategy[Any], check: Callable[[Any], None]) -> None:
    """``check`` for drawn examples, the same ones at every run."""
    quiet = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
    chosen = settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=quiet,
    )
    chosen(given(strategy)(check))()


@small_or_soak(400, 8000)
def test_every_operation_answers_as_declared(served: Any, surface: Surface, examples: int) -> None:
    @st.composite
    def requests(draw: st.DrawFn) -> tuple[Operation, str, Headers, bytes]:
        operation = draw(st.sampled_from([o for o in surface.operations if not o.infers]))
        target, headers, body = draw(targets(operation)), draw(odd_headers()), b""
        if operation.method == "POST" and draw(st.booleans()):
            body, needed = draw(control_bodies())
            headers |= needed
        return operation, target, headers, body

    def check(request: tuple[Operation, str, Headers, bytes]) -> None:
        operation, target, headers, body = request
        reply = call(surface.address, operation.method, target, encodable(headers), body)
        check_reply(surface, operation, reply)

    with unharmed(served):
        hold(examples, requests(), check)


@small_or_soak(500, 12_000)
def test_inference_answers_as_declared(served: Any, surface: Surface, examples: int) -> None:
    @st.composite
    def requests(draw: st.DrawFn) -> tuple[Operation, str, Headers, bytes]:
        operation = draw(st.sampled_from([o for o in surface.operations if o.infers]))
        body, headers = draw(bodies())
        if draw(st.integers(0, 2)) == 0:
            headers |= draw(odd_headers(2))
            return operation, draw(targets(operation)), headers, body
        model = "grid-load" if b"load_mw" in body else "blast-furnace"
        target = operation.path.replace("{model}", model).replace("{version}", "1")
        return operation, target, headers, body

    def check(request: tuple[Operation, str, Headers, bytes]) -> None:
        operation, target, headers, body = request
        reply = call(surface.address, operation.method, target, encodable(headers), body)
        check_reply(surface, operation, reply)

    surface.statuses.clear()
    with unharmed(served):
        hold(examples, requests(), check)
    assert {200, 400} <= set(surface.statuses), "the examples reach neither end of the path"


def encodable(headers: Headers) -> Any:
    """Header values as the bytes http.client sends: latin-1."""
    return {name: value.encode("latin-1") for name, value in headers.items()}


@pytest.mark.parametrize(
    "target",
    ["/", "//v2", "/v2//", "/v2/models/", "/v2/models//infer", "/v2/models/{model}/infer",
     "/v2/models/../v2", "/v2/models/grid-load/versions//infer", "/V2", "/v2;a"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS", "PATCH"])
def test_a_path_that_is_none_of_them_is_404(surface: Surface, method: str, target: str) -> None:
    status, headers, body = call(surface.address, method, target)
    assert (status, headers["content-type"]) == (404, JSON)
    assert "no route" in json.loads(body)["error"]


@pytest.mark.parametrize("size", [16 * 1024 * 1024 + 1, 2**40])
def test_a_body_too_large_is_refused_before_it_is_sent(
    served: Any, surface: Surface, size: int
) -> None:
    head = request_head("/v2/models/grid-load/infer", f"Content-Length: {size}")
    with unharmed(served):
        answer = talk(served.address, head, b"{", expect_close=False)
    assert answer.startswith(b"HTTP/1.1 413 ")


# ---- what no HTTP client says --------------------------------------------------------------


def request_head(target: str, *lines: str, method: str = "POST") -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: x", *lines, "", ""]).encode()


def connected(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), ANSWER_WITHIN_S)


def talk(address: str, *parts: bytes, expect_close: bool = True) -> bytes:
    """Send the parts; return all that comes until the server closes, or its first packet."""
    with connected(address) as connection:
        for part in parts:
            connection.sendall(part)
        received = connection.recv(65536)
        while expect_close and (more := connection.recv(65536)):
            received += more
        return received


INFER = "/v2/models/grid-load/infer"
MALFORMED = {
    "not HTTP": b"\x00\x01\x02 what is this\r\n\r\n",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 80 + b"\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no host": b"GET /v2 HTTP/1.1\r\n\r\n",
    "a raw byte in the path": b"GET /v2/models/\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    "an impossible host": b"GET http://[/v2 HTTP/1.1\r\nHost: x\r\n\r\n",
    "a NUL in a header": request_head(INFER, "X-A: a\x00b"),
    "a header without a name": request_head(INFER, ": a"),
    "an oversize header": request_head(INFER, "X-A: " + "a" * 40_000),
    "an oversize target": request_head("/" + "a" * 40_000),
    "too many headers": request_head(INFER, *(f"X-{n}: a" for n in range(2000))),
    "a negative length": request_head(INFER, "Content-Length: -5"),
    "a signed length": request_head(INFER, "Content-Length: +5") + b"hello",
    "a length beyond 64 bits": request_head(INFER, "Content-Length: " + "9" * 30),
    "two lengths": request_head(INFER, "Content-Length: 2", "Content-Length: 3") + b"{} ",
    "length and chunks": request_head(INFER, "Content-Length: 5", "Transfer-Encoding: chunked")
    + b"0\r\n\r\n",
    "an unknown transfer encoding": request_head(INFER, "Transfer-Encoding: x") + b"{}",
    "a chunk size that is no number": request_head(INFER, "Transfer-Encoding: chunked")
    + b"zz\r\n{}\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("said", MALFORMED.values(), ids=MALFORMED)
def test_malformed_http_is_400_and_the_connection_closes(served: Any, said: bytes) -> None:
    with unharmed(served):
        answer = talk(served.address, said)
    assert re.match(rb"HTTP/1\.[01] 400 ", answer), answer


def test_pipelined_requests_are_answered_in_order(served: Any) -> None:
    body = json.dumps(good_request()).encode()
    whole = request_head(INFER, f"Content-Length: {len(body)}") + body
    last = request_head("/v2/health/live", "Connection: close", method="GET")
    with unharmed(served):
        answer = talk(served.address, whole * 5 + request_head("/nope", method="GET") + last)
    found = re.findall(rb"HTTP/1\.1 (\d+) ", answer)
    assert found == [b"200"] * 5 + [b"404", b"200"]
    assert answer.endswith(b'{"live":true}')


def test_bytes_beyond_the_length_are_another_request(served: Any) -> None:
    with unharmed(served):
        answer = talk(served.address, request_head(INFER, "Content-Length: 2") + b"{}{\r\n\r\n")
    assert set(re.findall(rb"HTTP/1\.[01] (\d+) ", answer)) == {b"400"}


@pytest.mark.parametrize("target", [INFER, "/v2/repository/index"])
@pytest.mark.parametrize("reset", [False, True], ids=["closes", "resets"])
@pytest.mark.parametrize(
    "said",
    [
        pytest.param(lambda head, body: head[: len(head) // 2], id="half a head"),
        pytest.param(lambda head, body: head, id="no body"),
        pytest.param(lambda head, body: head + body[:10], id="half a body"),
        pytest.param(lambda head, body: head + body, id="all but no ear"),
    ],
)
def test_a_client_that_goes_leaves_nothing_behind(
    served: Any, said: Callable[[bytes, bytes], bytes], reset: bool, target: str
) -> None:
    body = json.dumps(good_request()).encode()
    head = request_head(target, f"Content-Length: {len(body)}", "x-nearway-origin: Urumqi")
    with unharmed(served):
        for _ in range(5):
            connection = connected(served.address)
            connection.sendall(said(head, body))
            if reset:
                now = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
            connection.close()


def test_a_body_that_never_ends_is_given_up(
    start_gateway: Callable[..., Any], tmp_path: Path
) -> None:
    """By length or in chunks, 408 at the deadline at every route that reads a body."""
    chunked = "Transfer-Encoding: chunked"
    config = tmp_path / "impatient.toml"
    config.write_text("[attempts]\ndeadline_ms = 500\n")
    with start_gateway("--config", str(config)) as gateway, unharmed(gateway):
        for target in (INFER, "/v2/repository/index", "/v2/repository/models/nope/load"):
            for head, begun in (
                (request_head(target, "Content-Length: 10"), b"{"),
                (request_head(target, chunked), b"1\r\n{\r\n"),
            ):
                answer = talk(gateway.address, head, begun, expect_close=False)
                assert answer.startswith(b"HTTP/1.1 408 "), (target, answer)
