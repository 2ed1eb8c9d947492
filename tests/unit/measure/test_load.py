import asyncio
import json
import threading

import pytest

from gateway.api import ConfigError
from gateway.measure.load import LoadPlan, run_load, run_plan

METADATA = b'{"name":"m","inputs":[{"name":"x","datatype":"FP32","shape":[-1,2]}],"outputs":[]}'


def answer(body, extra=b""):
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + extra
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


class Model(asyncio.Protocol):
    """An Open Inference Protocol server of one model, that tells no parts."""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(answer(METADATA if data.startswith(b"GET") else b'{"outputs":[]}'))


@pytest.fixture
def url():
    """A server on a loop of its own, since a load runs on a loop of its own."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(loop.create_server(Model, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    loop.call_soon_threadsafe(server.close)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


def test_a_foreign_server_is_measured_at_each_rate_without_a_body(url):
    plan = LoadPlan(
        url,
        "m",
        rates=(40.0, 80.0),
        duration_s=1.0,
        warmup_s=0.25,
        shape="constant",
        origins={"Wuhu": 1.0, "Shanghai": 3.0},
    )
    result = run_load(plan)
    assert [r.requests for r in result.rates] == [40, 80]
    assert [r.answered for r in result.rates] == [40, 80]
    assert all(r.noise.count > 0 for r in result.rates)
    assert all(r.parts_ms == {} for r in result.rates)
    assert sum(result.origins.values()) == 50 + 100
    assert result.origins["Shanghai"] > result.origins["Wuhu"]
    plain = json.loads(json.dumps(result.as_json(), allow_nan=False))
    assert plain["rates"][0]["latency_ms"]["p99.9"]["high"] is None


def test_a_run_is_drawn_from_its_seed():
    plan = LoadPlan("http://h", "m", body=b"{}", duration_s=5.0, origins={"a": 1.0, "b": 1.0})
    one, two = run_plan(plan, 100.0), run_plan(plan, 100.0)
    assert one.times_s.tolist() == two.times_s.tolist()
    assert one.origin.tolist() == two.origin.tolist()
    assert one.path == "/v2/models/m/infer"
    assert one.times_s[-1] > 5.0


@pytest.mark.parametrize(
    "wrong",
    [{"rates": ()}, {"rates": (0.0,)}, {"duration_s": 0.5}, {"warmup_s": -1.0}, {"target_ms": 0}],
)
def test_a_question_that_cannot_be_asked_is_refused(wrong):
    with pytest.raises(ConfigError):
        LoadPlan("http://h", "m", **wrong)


def test_an_address_that_is_none_is_refused():
    with pytest.raises(ConfigError, match="an endpoint is"):
        LoadPlan("ftp://h", "m")
