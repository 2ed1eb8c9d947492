"""The aiohttp lane over real sockets: one inference request, right and wrong."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import ClientResponse, ServerDisconnectedError
from aiohttp.client_exceptions import ClientPayloadError
from aiohttp.test_utils import TestClient

from gateway.api import (
    CenterDown,
    CenterFailed,
    InvalidRequest,
    NoCenter,
    NotFound,
    Report,
)
from gateway.centers.port import Answered, Chunk, Head
from gateway.wire import parse_server_timing
from gateway.wire.orca import parse as parse_load

JSON = {"Content-Type": "application/json"}
INFER = "/v2/models/mlp/infer"
Door = Callable[..., Awaitable[TestClient[Any, Any]]]


async def infer(client: Any, body: bytes = b"{}", **headers: str) -> ClientResponse:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    response = await client.post(INFER, data=body, headers={**JSON, **names})
    await response.read()
    return response


async def error_of(response: ClientResponse) -> str:
    assert response.content_type == "application/json"
    assert response.headers["x-request-id"]
    body = json.loads(await response.read())
    reason = response.headers.get("x-nearway-reason")
    assert (reason is not None) == (response.status in (429, 503, 504))
    assert body.pop("reason", None) == reason
    assert list(body) == ["error"]
    return str(body["error"])


async def until(condition: Callable[[], Any]) -> None:
    """A few turns of the loop, until something has happened."""
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it never happened")


async def test_an_answer_carries_its_center_its_id_and_where_the_time_went(door: Door) -> None:
    client = await door()
    response = await infer(client, x_request_id="mine-1")
    assert response.status == 200
    assert await response.read() == b'{"model_name":"mlp","outputs":[]}'
    assert response.content_type == "application/json"
    assert response.headers["x-nearway-center"] == "c0"
    assert response.headers["x-request-id"] == "mine-1"
    parts = parse_server_timing(response.headers["Server-Timing"])
    assert set(parts) == {"gateway", "network", "queue", "service"}
    assert (parts["queue"], parts["service"]) == (0.5, 1.5)


async def test_ids_are_made_when_absent_or_odd_and_differ(door: Door) -> None:
    client = await door()
    ids = {(await infer(client)).headers["x-request-id"] for _ in range(3)}
    for odd in ("x" * 129, "with space", "\u00e9"):
        ids.add((await infer(client, x_request_id=odd)).headers["x-request-id"])
    assert len(ids) == 6
    assert not ids & {"x" * 129, "with space", "\u00e9"}


async def test_version_and_slash_forms_reach_the_center(door: Door) -> None:
    client = await door()
    for path in (INFER, f"{INFER}/", "/v2/models/mlp/versions/7/infer"):
        assert (await client.post(path, data=b"{}", headers=JSON)).status == 200
    attempts = [one.attempt for one in client.front.ports[0].started]
    assert [attempt.version for attempt in attempts] == ["", "", "7"]


async def test_a_binary_body_passes_through_with_its_head_length(door: Door) -> None:
    client = await door()
    head = Head(200, "application/octet-stream", 5)
    client.front.ports[0].script = lambda one: one.answer(b'{"a":1}\x00\x01', head=head)
    body = b'{"inputs":[]}\x00\xff\x00'
    response = await infer(
        client, body, Content_Type="application/octet-stream",
        Inference_Header_Content_Length="13",
    )  # fmt: skip
    attempt = client.front.ports[0].started[-1].attempt
    assert attempt.body == body
    assert attempt.head_bytes == 13
    assert response.headers["Inference-Header-Content-Length"] == "5"
    assert response.content_type == "application/octet-stream"


@pytest.mark.parametrize("length", ["0", "-1", "3", "x", "1.5", "9" * 30, "\u0663"])
async def test_a_wrong_head_length_is_named(door: Door, length: str) -> None:
    response = await infer(await door(), Inference_Header_Content_Length=length)
    assert response.status == 400
    message = await error_of(response)
    assert "Inference-Header-Content-Length" in message
    assert "1 to the body's length, 2" in message


@pytest.mark.parametrize("media", ["text/plain", "application/x-www-form-urlencoded", "json"])
async def test_other_content_types_are_415(door: Door, media: str) -> None:
    response = await infer(await door(), Content_Type=media)
    assert response.status == 415
    assert media in await error_of(response)


@pytest.mark.parametrize("media", ["application/json; charset=utf-8", "Application/JSON"])
async def test_json_may_be_written_in_its_usual_ways(door: Door, media: str) -> None:
    assert (await infer(await door(), Content_Type=media)).status == 200


async def test_no_content_type_is_read_as_json(door: Door) -> None:
    client = await door()
    response = await client.post(INFER, data=b"{}", skip_auto_headers=["Content-Type"])
    assert response.status == 200


@pytest.mark.parametrize("value", ["0", "-5", "soon", "nan", "inf", ""])
async def test_a_wrong_timeout_header_is_named(door: Door, value: str) -> None:
    response = await infer(await door(), x_request_timeout_ms=value)
    assert response.status == 400
    assert "x-request-timeout-ms" in await error_of(response)


async def test_a_wrong_timeout_in_the_body_is_400(door: Door) -> None:
    response = await infer(await door(), b'{"parameters":{"timeout":"soon"},"inputs":[]}')
    assert response.status == 400
    assert "timeout" in await error_of(response)


@pytest.mark.parametrize(
    ("body", "header", "budget_ms"),
    [
        (b"{}", None, 30_000.0),
        (b'{"parameters":{"timeout":250000}}', None, 250.0),
        (b'{"parameters":{"timeout":250000}}', "40", 40.0),
        (b'{"parameters":{"timeout":0}}', None, 30_000.0),
        (b"{}", "99999999", 30_000.0),
    ],
)
async def test_the_deadline_is_the_headers_then_the_bodys_then_the_settings(
    door: Door, body: bytes, header: str | None, budget_ms: float
) -> None:
    client = await door()
    headers = {"x_request_timeout_ms": header} if header else {}
    await infer(client, body, **headers)
    query = client.front.router.committed[-1].query
    assert query.deadline_ms == budget_ms


async def test_the_timeout_in_a_binary_body_is_read_from_its_head_only(door: Door) -> None:
    client = await door()
    head = b'{"parameters":{"timeout":50000}}'
    await infer(
        client, head + b'"timeout"', Inference_Header_Content_Length=str(len(head)),
    )  # fmt: skip
    assert client.front.router.committed[-1].query.deadline_ms == 50.0


async def test_a_spent_deadline_is_504_and_says_so(door: Door) -> None:
    client = await door()
    client.front.ports[0].script = None
    response = await infer(client, x_request_timeout_ms="15")
    assert response.status == 504
    assert "waiting for center c0" in await error_of(response)
    assert [out.reason for out in client.front.router.outcomes] == ["deadline_exceeded"]
    assert client.front.ports[0].started[0].cancelled


async def test_origin_and_tenant_of_a_trusted_peer_are_believed(door: Door) -> None:
    client = await door()
    await infer(client, x_nearway_origin="Beijing", x_nearway_tenant="acme")
    query = client.front.router.committed[-1].query
    assert (query.vantage, query.tenant) == (1, "acme")


async def test_geo_headers_stand_in_for_the_origin(door: Door) -> None:
    client = await door()
    await infer(client, cf_iplatitude="31.2", cf_iplongitude="121.5")
    assert client.front.router.committed[-1].query.vantage == 2


async def test_from_an_untrusted_peer_they_are_passed_over(door: Door) -> None:
    client = await door(server={"trusted_proxies": ["10.0.0.0/8"]})
    response = await infer(
        client, x_nearway_origin="nowhere", x_nearway_tenant="acme", x_nearway_explain="1"
    )
    assert response.status == 200
    query = client.front.router.committed[-1].query
    assert (query.vantage, query.tenant) == (0, "anonymous")
    assert "x-nearway-explanation" not in response.headers


async def test_an_unknown_origin_is_400_and_names_header_and_place(door: Door) -> None:
    response = await infer(await door(), x_nearway_origin="Atlantis")
    assert response.status == 400
    message = await error_of(response)
    assert "x-nearway-origin" in message
    assert "Atlantis" in message


async def test_an_explanation_is_given_to_who_asks(door: Door) -> None:
    response = await infer(await door(), x_nearway_explain="1")
    told = json.loads(response.headers["x-nearway-explanation"])
    assert told["center"] == "c0"
    assert told["parts_ms"] == {"network": 4.0, "queue": 1.0}
    assert (told["runner_up"], told["runner_up_ms"]) == ("c1", 9.0)


@pytest.mark.parametrize(("form", "begins"), [("TEXT", "TEXT "), ("json", "JSON ")])
async def test_the_load_of_the_center_is_told_to_who_asks(
    door: Door, form: str, begins: str
) -> None:
    client = await door()
    response = await infer(client, endpoint_load_metrics_format=form)
    told = response.headers["endpoint-load-metrics"]
    assert told.startswith(begins)
    assert parse_load(told).service_ms == 1.5


@pytest.mark.parametrize("headers", [{}, {"endpoint_load_metrics_format": "xml"}])
async def test_the_load_is_not_told_to_others(door: Door, headers: dict[str, str]) -> None:
    response = await infer(await door(), **headers)
    assert response.status == 200
    assert "endpoint-load-metrics" not in response.headers


async def test_a_failed_center_is_followed_by_the_next(door: Door) -> None:
    client = await door()
    client.front.ports[0].script = lambda one: one.fail(CenterDown("c0 refused"))
    response = await infer(client)
    assert response.status == 200
    assert response.headers["x-nearway-center"] == "c1"


async def test_a_black_hole_is_left_after_the_attempts_timeout(door: Door) -> None:
    client = await door(attempts={"timeout_ms": 30.0})
    client.front.ports[0].script = None
    response = await infer(client)
    assert response.headers["x-nearway-center"] == "c1"
    assert [out.ending for out in client.front.router.outcomes] == ["error", "answer"]


async def test_when_every_center_fails_503_names_them(door: Door) -> None:
    client = await door()
    for row, port in enumerate(client.front.ports):
        error = CenterFailed(f"c{row} is broken")
        port.script = lambda one, error=error: one.fail(error)
    response = await infer(client)
    assert response.status == 503
    message = await error_of(response)
    assert all(f"c{row} is broken" in message for row in range(3))


@pytest.mark.parametrize(
    ("error", "status"), [(NotFound("no version 9"), 404), (InvalidRequest("bad shape"), 400)]
)
async def test_what_the_center_refuses_goes_to_the_client(
    door: Door, error: Any, status: int
) -> None:
    client = await door()
    client.front.ports[0].script = lambda one: one.fail(error, Report(0.0, 0.1))
    response = await infer(client)
    assert response.status == status
    assert await error_of(response) == str(error)


async def test_a_model_nobody_has_is_404_not_503(door: Door) -> None:
    client = await door()
    client.front.router.refusal = NoCenter("no center serves it")
    response = await client.post("/v2/models/nope/infer", data=b"{}", headers=JSON)
    assert response.status == 404
    assert "nope" in await error_of(response)


async def test_a_known_model_that_is_loaded_nowhere_is_503_and_says_how(door: Door) -> None:
    client = await door()
    client.front.router.refusal = NoCenter("no center serves it")
    for port in client.front.ports:
        port.models["mlp"] = False
    response = await infer(client)
    assert response.status == 503
    assert "/v2/repository/models/mlp/load" in await error_of(response)


async def test_a_known_model_with_nobody_to_serve_it_is_503(door: Door) -> None:
    client = await door()
    client.front.router.refusal = NoCenter("no center is healthy")
    response = await infer(client)
    assert response.status == 503
    assert await error_of(response) == "no center is healthy"


async def test_a_body_over_the_bound_is_413(door: Door) -> None:
    client = await door(server={"body_bytes_max": 100})
    response = await infer(client, b"x" * 101)
    assert response.status == 413
    assert "100" in await error_of(response)


async def test_a_chunked_body_over_the_bound_is_413(door: Door) -> None:
    client = await door(server={"body_bytes_max": 100})

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield b"x" * 10

    response = await client.post(INFER, data=pieces(), headers=JSON)
    assert response.status == 413
    await error_of(response)


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)]
)
async def test_compressed_bodies_are_inflated(door: Door, encoding: str, pack: Any) -> None:
    client = await door()
    response = await infer(client, pack(b'{"inputs":[]}'), Content_Encoding=encoding)
    assert response.status == 200
    assert client.front.ports[0].started[-1].attempt.body == b'{"inputs":[]}'


async def test_a_body_that_inflates_beyond_the_bound_is_413(door: Door) -> None:
    client = await door(server={"body_bytes_max": 100_000})
    bomb = gzip.compress(b"\0" * 50_000_000)
    response = await infer(client, bomb, Content_Encoding="gzip")
    assert response.status == 413
    assert "decompressed" in await error_of(response)
    assert not client.front.ports[0].started


@pytest.mark.parametrize("body", [b"no gzip at all", gzip.compress(b"{}" * 100, mtime=0)[:-9]])
async def test_broken_gzip_is_400(door: Door, body: bytes) -> None:
    response = await infer(await door(), body, Content_Encoding="gzip")
    assert response.status == 400
    await error_of(response)


async def test_unknown_encodings_are_415(door: Door) -> None:
    response = await infer(await door(), Content_Encoding="br")
    assert response.status == 415
    assert "br" in await error_of(response)


@pytest.mark.parametrize(
    ("accept", "encoding", "unpack"),
    [
        ("gzip, deflate", "gzip", gzip.decompress),
        ("deflate", "deflate", zlib.decompress),
        ("gzip;q=0, deflate", "deflate", zlib.decompress),
        ("br", None, bytes),
    ],
)
async def test_a_large_answer_is_compressed_for_who_takes_it(
    door: Door, accept: str, encoding: str | None, unpack: Any
) -> None:
    client = await door(server={"compress_bytes_min": 1400})
    large = b'{"outputs":[' + b"0," * 5000 + b"0]}"
    client.front.ports[0].script = lambda one: one.answer(large)
    response = await infer(client, Accept_Encoding=accept)
    assert response.headers.get("Content-Encoding") == encoding
    assert unpack(await response.read()) == large


@pytest.mark.parametrize(("bytes_min", "size"), [(0, 5000), (1400, 1399)])
async def test_no_answer_is_compressed_unless_told_and_large(
    door: Door, bytes_min: int, size: int
) -> None:
    client = await door(server={"compress_bytes_min": bytes_min})
    client.front.ports[0].script = lambda one: one.answer(b"0" * size)
    response = await infer(client, Accept_Encoding="gzip")
    assert "Content-Encoding" not in response.headers
    assert await response.read() == b"0" * size


async def test_the_bound_of_requests_under_way_answers_503(door: Door) -> None:
    client = await door(server={"in_flight_max": 1})
    client.front.ports[0].script = None
    first = asyncio.ensure_future(infer(client))
    await until(lambda: client.front.ports[0].started)
    second = await infer(client)
    assert second.status == 503
    assert second.headers["x-nearway-reason"] == "requests_in_flight"
    assert int(second.headers["Retry-After"]) >= 1
    assert "in_flight_max" in await error_of(second)
    client.front.ports[0].started[0].answer()
    assert (await first).status == 200
    assert client.front.metrics.in_flight == 0


async def test_while_draining_new_requests_are_503_and_old_ones_end(door: Door) -> None:
    client = await door()
    client.front.ports[0].script = None
    first = asyncio.ensure_future(infer(client))
    await until(lambda: client.front.ports[0].started)
    client.front.ready = lambda: False
    refused = await infer(client)
    assert refused.status == 503
    assert "draining" in await error_of(refused)
    client.front.ports[0].started[0].answer()
    assert (await first).status == 200


async def test_a_client_that_leaves_cancels_its_attempt_once(door: Door) -> None:
    client = await door()
    client.front.ports[0].script = None
    request = asyncio.ensure_future(infer(client))
    await until(lambda: client.front.ports[0].started)
    request.cancel()
    await until(lambda: client.front.router.outcomes)
    await until(lambda: client.front.metrics.in_flight == 0)
    (outcome,) = client.front.router.outcomes
    assert (outcome.ending, outcome.reason) == ("cancelled", "client_gone")
    assert client.front.ports[0].started[0].cancelled


async def test_a_stream_arrives_chunk_by_chunk(door: Door) -> None:
    client = await door()
    client.front.ports[0].script = lambda one: one.hear(Head(200, "application/json", None))
    request = asyncio.ensure_future(client.post(INFER, data=b"{}", headers=JSON))
    await until(lambda: client.front.ports[0].started)
    center = client.front.ports[0].started[0]
    await asyncio.sleep(0)
    center.hear(Chunk(b"one"))
    response = await request
    assert "Server-Timing" not in response.headers
    assert await response.content.readany() == b"one"
    center.hear(Chunk(b"two"))
    assert await response.content.readany() == b"two"
    center.hear(Answered(Report(0.0, 0.1), None))
    assert await response.read() == b""
    assert client.front.router.outcomes[0].ending == "answer"


async def test_a_stream_that_breaks_off_breaks_the_clients_connection(door: Door) -> None:
    client = await door()
    client.front.ports[0].script = lambda one: one.hear(Head(200, "application/json", None))
    request = asyncio.ensure_future(client.post(INFER, data=b"{}", headers=JSON))
    await until(lambda: client.front.ports[0].started)
    await asyncio.sleep(0)
    client.front.ports[0].started[0].hear(Chunk(b"one"))
    response = await request
    client.front.ports[0].started[0].fail(CenterDown("went away"))
    with pytest.raises((ClientPayloadError, ServerDisconnectedError, ConnectionResetError)):
        await response.read()


async def test_a_client_that_leaves_a_stream_cancels_its_attempt(door: Door) -> None:
    client = await door()
    client.front.ports[0].script = lambda one: one.hear(Head(200, "application/json", None))
    request = asyncio.ensure_future(client.post(INFER, data=b"{}", headers=JSON))
    await until(lambda: client.front.ports[0].started)
    await asyncio.sleep(0)
    client.front.ports[0].started[0].hear(Chunk(b"one"))
    (await request).close()
    await until(lambda: client.front.router.outcomes)
    assert client.front.router.outcomes[0].reason == "client_gone"
    await until(lambda: client.front.metrics.in_flight == 0)


async def test_a_client_that_does_not_read_its_stream_loses_it_at_the_deadline(
    door: Door,
) -> None:
    client = await door(attempts={"deadline_ms": 200.0})
    client.front.ports[0].script = lambda one: one.hear(Head(200, "application/json", None))
    _, writer = await asyncio.open_connection("127.0.0.1", client.port, limit=1)
    writer.write(f"POST {INFER} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{{}}".encode())
    await until(lambda: client.front.ports[0].started)
    await asyncio.sleep(0)
    for _ in range(12):
        client.front.ports[0].started[0].hear(Chunk(b"x" * 1_000_000))
    await until(lambda: client.front.metrics.in_flight == 0)
    assert client.front.router.outcomes[0].reason == "deadline_exceeded"
    writer.close()


async def test_a_body_that_does_not_come_is_408(door: Door) -> None:
    client = await door(attempts={"deadline_ms": 30.0})
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    writer.write(f"POST {INFER} HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc".encode())
    head = await reader.readuntil(b"\r\n")
    writer.close()
    assert b" 408 " in head
    await until(lambda: client.front.metrics.in_flight == 0)


async def test_an_unforeseen_error_is_500_and_leaks_nothing(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    client = await door()

    def broken(*_: Any) -> Any:
        raise RuntimeError("secret detail")

    client.front.router.decide = broken
    response = await infer(client, x_request_id="r-77")
    assert response.status == 500
    message = await error_of(response)
    assert "r-77" in message
    assert "secret" not in message
    assert "secret detail" in caplog.text
    assert client.front.metrics.in_flight == 0


async def test_a_decision_that_nobody_foresaw_to_fail_is_counted_as_500(door: Door) -> None:
    client = await door()

    def broken(*_: Any) -> Any:
        raise RuntimeError("nobody foresaw this")

    client.front.router.decide = broken
    assert (await infer(client)).status == 500
    text = await (await client.get("/metrics")).text()
    assert 'nearway_requests_total{code="500",model="other"} 1.0' in text
    assert client.front.metrics.in_flight == 0


async def test_a_stream_whose_head_cannot_be_told_is_counted_as_500_not_as_a_client_that_left(
    door: Door,
) -> None:
    client = await door()

    def begin(one: Any) -> None:
        one.hear(Head(200, "text/plain\r\nx: y", None))
        one.hear(Chunk(b"first"))

    client.front.ports[0].script = begin
    assert (await infer(client)).status == 500
    text = await (await client.get("/metrics")).text()
    assert 'nearway_requests_total{code="500",model="other"} 1.0' in text
    assert 'code="499"' not in text
    (outcome,) = client.front.router.outcomes
    assert (outcome.ending, outcome.reason) == ("cancelled", "internal")
    assert client.front.metrics.in_flight == 0


async def test_every_way_out_is_counted_once(door: Door) -> None:
    client = await door()
    await infer(client)
    await infer(client, Content_Type="text/plain")
    await infer(client, x_nearway_origin="Atlantis")
    text = await (await client.get("/metrics")).text()
    assert 'nearway_requests_total{code="200",model="mlp"} 1.0' in text
    assert 'nearway_requests_total{code="415",model="mlp"} 1.0' in text
    assert 'nearway_requests_total{code="400",model="mlp"} 1.0' in text
