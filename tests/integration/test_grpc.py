"""tritonclient[grpc], unmodified, against a running gateway: as against Triton itself."""

from __future__ import annotations

import asyncio
import json
import queue
import threading
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import numpy as np
import pytest

MISSING = "the extra grpc is not installed"
grpc = pytest.importorskip("grpc", reason=MISSING)
health_pb2 = pytest.importorskip("grpc_health.v1.health_pb2", reason=MISSING)
health_pb2_grpc = pytest.importorskip("grpc_health.v1.health_pb2_grpc", reason=MISSING)
with warnings.catch_warnings():  # the client's own imports warn on a new Python
    warnings.simplefilter("ignore")
    triton = pytest.importorskip("tritonclient.grpc", reason=MISSING)
    triton_aio = pytest.importorskip("tritonclient.grpc.aio", reason=MISSING)
    service_pb2 = triton.service_pb2
    InferenceServerException = pytest.importorskip("tritonclient.utils").InferenceServerException

MODEL = "blast-furnace"
WITHIN_S = 20.0


@pytest.fixture(scope="module")
def gateway(
    start_gateway: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """One attempt a request, however long it is silent: what is cancelled was one attempt."""
    config = tmp_path_factory.mktemp("grpc") / "nearway.toml"
    config.write_text("[attempts]\nmax = 1\ntimeout_ms = 10000.0\nhedge_share = 0.0\n")
    with start_gateway("--config", str(config), "--sites", "core", "--grpc-port", "0") as one:
        yield one


@pytest.fixture(scope="module")
def client(gateway: Any) -> Iterator[Any]:
    client = triton.InferenceServerClient(gateway.grpc)
    yield client
    client.close()


@pytest.fixture(scope="module")
def stub(gateway: Any) -> Iterator[Any]:
    with grpc.insecure_channel(gateway.grpc) as channel:
        yield triton.service_pb2_grpc.GRPCInferenceServiceStub(channel)


def window(rows: int = 2) -> Any:
    return np.random.default_rng(3).normal(100, 10, (rows, 24, 12)).astype(np.float32)


def tensors(array: Any, module: Any = triton) -> list[Any]:
    tensor = module.InferInput("window", list(array.shape), "FP32")
    tensor.set_data_from_numpy(array)
    return [tensor]


def typed(array: Any) -> Any:
    request = service_pb2.ModelInferRequest(model_name=MODEL)
    tensor = request.inputs.add(name="window", datatype="FP32", shape=array.shape)
    tensor.contents.fp32_contents.extend(array.ravel().tolist())
    return request


def until(so: Callable[[], bool]) -> None:
    end_s = time.monotonic() + WITHIN_S
    while not so():
        assert time.monotonic() < end_s, "it did not come about"
        time.sleep(0.01)


def cancelled(gateway: Any) -> float:
    """Requests whose client had gone, of all models."""
    with urllib.request.urlopen(f"{gateway.url}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    counts = [
        line for line in lines if line.startswith("nearway_requests_total") and '"499"' in line
    ]
    return sum(float(line.rpartition(" ")[2]) for line in counts)


def in_flight(gateway: Any) -> int:
    return sum(row["in_flight"] for row in gateway.admin("GET", "/fleet")["centers"])


@pytest.fixture
def slow(gateway: Any) -> Iterator[None]:
    """Every answer takes half a second longer."""
    for region in {row["region"] for row in gateway.admin("GET", "/fleet")["centers"]}:
        fault = {"center": region, "kind": "delay", "value": 500.0}
        gateway.admin("POST", "/faults", fault)
    yield
    gateway.admin("DELETE", "/faults")


def test_live_ready_metadata(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(MODEL)
    assert client.is_model_ready(MODEL, "1")
    assert not client.is_model_ready("no-such-model")
    server = client.get_server_metadata()
    assert server.name == "nearway"
    assert {"binary_tensor_data", "classification", "statistics"} <= set(server.extensions)
    model = client.get_model_metadata(MODEL)
    assert (model.name, list(model.versions)) == (MODEL, ["1"])
    assert [(one.name, one.datatype, list(one.shape)) for one in model.inputs] == [
        ("window", "FP32", [-1, 24, 12])
    ]


def test_config(client: Any) -> None:
    config = client.get_model_config(MODEL).config
    assert (config.name, config.max_batch_size) == (MODEL, 64)
    assert config.input[0].data_type == triton.model_config_pb2.TYPE_FP32
    assert list(config.input[0].dims) == [24, 12]


def test_infer_with_outputs_id_and_metadata(client: Any) -> None:
    outputs = [triton.InferRequestedOutput(name) for name in ("state", "temperature_c")]
    headers = {"x-request-id": "mine", "x-nearway-origin": "Wuhu"}
    answer = client.infer(MODEL, tensors(window()), "", outputs, "r-1", headers=headers)
    assert answer.get_response().id == "r-1"
    assert [one.name for one in answer.get_response().outputs] == ["state", "temperature_c"]
    assert answer.as_numpy("temperature_c").shape == (2, 1)
    assert answer.as_numpy("state").sum(axis=1) == pytest.approx([1, 1], abs=1e-5)


def test_grpc_and_http_give_the_same_numbers(gateway: Any, client: Any) -> None:
    array = window(1)
    told = {"name": "window", "shape": list(array.shape), "datatype": "FP32"}
    body = json.dumps({"inputs": [{**told, "data": array.ravel().tolist()}]}).encode()
    document, _ = gateway.infer(MODEL, body, "Shanghai")
    answer = client.infer(MODEL, tensors(array))
    for output in document["outputs"]:
        assert answer.as_numpy(output["name"]).ravel() == pytest.approx(output["data"], rel=1e-6)


def test_typed_and_raw_contents_agree(client: Any, stub: Any) -> None:
    array = window()
    answer = stub.ModelInfer(typed(array), timeout=WITHIN_S)
    raw = client.infer(MODEL, tensors(array)).as_numpy("temperature_c")
    assert np.array_equal(triton.InferResult(answer).as_numpy("temperature_c"), raw)


def test_trailing_metadata_says_who_answered_and_where_the_time_went(stub: Any) -> None:
    metadata = (("x-request-id", "mine"), ("x-nearway-origin", "Wuhu"))
    _, call = stub.ModelInfer.with_call(typed(window()), timeout=WITHIN_S, metadata=metadata)
    told = dict(call.trailing_metadata())
    assert told["x-request-id"] == "mine"
    assert told["x-nearway-center"].startswith("cn-")
    assert {"gateway", "network", "queue", "service"} == {
        part.partition(";")[0].strip() for part in told["server-timing"].split(",")
    }


def test_classification_names_the_class(client: Any) -> None:
    outputs = [triton.InferRequestedOutput("state", class_count=2)]
    answer = client.infer(MODEL, tensors(window(1)), outputs=outputs)
    value, index, label = answer.as_numpy("state").ravel()[0].decode().split(":")
    assert label == ("cold", "normal", "hot")[int(index)]
    assert 0 <= float(value) <= 1


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_compressed(client: Any, algorithm: str) -> None:
    answer = client.infer(MODEL, tensors(window()), compression_algorithm=algorithm)
    assert answer.as_numpy("state").shape == (2, 3)


def test_statistics_count_what_ran(client: Any) -> None:
    def count() -> int:
        [entry] = client.get_inference_statistics(MODEL).model_stats
        return int(entry.inference_stats.success.count)

    before = count()
    client.infer(MODEL, tensors(window(1)))
    assert count() == before + 1
    assert MODEL in {entry.name for entry in client.get_inference_statistics().model_stats}


def test_index_unload_load(client: Any) -> None:
    index = {entry.name: entry.state for entry in client.get_model_repository_index().models}
    assert index["grid-load"] == "READY"
    client.unload_model("grid-load")
    try:
        assert not client.is_model_ready("grid-load")
    finally:
        client.load_model("grid-load")
    assert client.is_model_ready("grid-load")


def http_error(gateway: Any, model: str, array: Any) -> str:
    told = {"name": "window", "shape": list(array.shape), "datatype": "FP32"}
    body = json.dumps({"inputs": [{**told, "data": array.ravel().tolist()}]}).encode()
    with pytest.raises(urllib.error.HTTPError) as caught:
        gateway.infer(model, body, "Shanghai")
    with caught.value as answer:
        return str(json.load(answer)["error"])


@pytest.mark.parametrize(
    ("model", "array", "status"),
    [
        (MODEL, window()[:, :12], "INVALID_ARGUMENT"),
        ("no-such-model", window(), "NOT_FOUND"),
    ],
)
def test_errors_have_https_messages(
    gateway: Any, client: Any, model: str, array: Any, status: str
) -> None:
    with pytest.raises(InferenceServerException) as caught:
        client.infer(model, tensors(array))
    assert caught.value.status() == f"StatusCode.{status}"
    assert caught.value.message() == http_error(gateway, model, array)


@pytest.mark.usefixtures("slow")
def test_a_deadline_ends_it_at_the_center_too(gateway: Any, client: Any) -> None:
    with pytest.raises(InferenceServerException, match=r"(?i)deadline"):
        client.infer(MODEL, tensors(window()), client_timeout=0.15)
    until(lambda: in_flight(gateway) == 0)


@pytest.mark.usefixtures("slow")
def test_the_messages_own_timeout_is_heeded(client: Any) -> None:
    with pytest.raises(InferenceServerException) as caught:
        client.infer(MODEL, tensors(window()), timeout=100_000)
    assert caught.value.status() == "StatusCode.DEADLINE_EXCEEDED"


@pytest.mark.usefixtures("slow")
def test_a_client_that_cancels_is_counted_and_nothing_is_left(gateway: Any, client: Any) -> None:
    before = cancelled(gateway)
    ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
    call = client.async_infer(MODEL, tensors(window()), lambda result, error: ended.put(error))
    until(lambda: in_flight(gateway) >= 1)
    call.cancel()
    assert ended.get(timeout=WITHIN_S) is not None
    until(lambda: in_flight(gateway) == 0)
    assert cancelled(gateway) == before + 1


class Answers:
    """What a stream's callback heard."""

    def __init__(self) -> None:
        self._heard: queue.SimpleQueue[tuple[Any, Any]] = queue.SimpleQueue()

    def __call__(self, result: Any, error: Any) -> None:
        self._heard.put((result, error))

    def next(self) -> tuple[Any, Any]:
        return self._heard.get(timeout=WITHIN_S)


def test_a_stream_answers_each_by_its_id(gateway: Any) -> None:
    with triton.InferenceServerClient(gateway.grpc) as client:
        heard = Answers()
        client.start_stream(heard)
        ids = {f"r-{number}" for number in range(20)}
        for one in sorted(ids):
            client.async_stream_infer(MODEL, tensors(window(1)), request_id=one)
        told = [heard.next() for _ in ids]
        assert [error for _, error in told if error is not None] == []
        assert {result.get_response().id for result, _ in told} == ids
        final = told[0][0].get_response().parameters["triton_final_response"]
        assert final.bool_param
        client.async_stream_infer("no-such-model", tensors(window(1)))
        _, error = heard.next()
        assert "no-such-model" in str(error)
        client.async_stream_infer(MODEL, tensors(window(1)), request_id="after")
        assert heard.next()[0].get_response().id == "after"
        client.stop_stream()


@pytest.mark.usefixtures("slow")
def test_a_stream_that_is_cancelled_ends_all_its_requests(gateway: Any) -> None:
    before = cancelled(gateway)
    with triton.InferenceServerClient(gateway.grpc) as client:
        client.start_stream(Answers())
        for _ in range(5):
            client.async_stream_infer(MODEL, tensors(window(1)))
        until(lambda: in_flight(gateway) >= 5)
        client.stop_stream(cancel_requests=True)
        until(lambda: in_flight(gateway) == 0)
    assert cancelled(gateway) == before + 5


async def test_aio(gateway: Any) -> None:
    async with triton_aio.InferenceServerClient(gateway.grpc) as client:
        assert await client.is_server_live()
        assert await client.is_server_ready()
        assert await client.is_model_ready(MODEL)
        assert (await client.get_model_metadata(MODEL)).name == MODEL
        assert (await client.get_model_config(MODEL)).config.name == MODEL
        assert (await client.get_model_repository_index()).models
        assert (await client.get_inference_statistics(MODEL)).model_stats
        asked = [client.infer(MODEL, tensors(window(), triton_aio)) for _ in range(8)]
        answers = await asyncio.gather(*asked)
        assert {answer.as_numpy("state").shape for answer in answers} == {(2, 3)}
        await client.load_model(MODEL)
        with pytest.raises(InferenceServerException, match="window"):
            await client.infer(MODEL, tensors(window()[:, :12], triton_aio))
        with pytest.raises(InferenceServerException, match="no-such-model"):
            await client.get_model_metadata("no-such-model")


async def test_aio_stream(gateway: Any) -> None:
    async def requests() -> AsyncIterator[dict[str, Any]]:
        for number in range(5):
            inputs = tensors(window(1), triton_aio)
            yield {"model_name": MODEL, "inputs": inputs, "request_id": f"r-{number}"}

    async with triton_aio.InferenceServerClient(gateway.grpc) as client:
        told = [answer async for answer in client.stream_infer(requests())]
    assert [error for _, error in told if error is not None] == []
    assert {result.get_response().id for result, _ in told} == {f"r-{n}" for n in range(5)}


def test_health_and_reflection(gateway: Any) -> None:
    reflected = pytest.importorskip("grpc_reflection.v1alpha.proto_reflection_descriptor_database")
    with grpc.insecure_channel(gateway.grpc) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        told = health.Check(health_pb2.HealthCheckRequest(), timeout=WITHIN_S)
        assert told.status == health_pb2.HealthCheckResponse.SERVING
        database = reflected.ProtoReflectionDescriptorDatabase(channel)
        assert "inference.GRPCInferenceService" in database.get_services()
        file = database.FindFileContainingSymbol("inference.GRPCInferenceService")
        assert file.name == "inference.proto"


@pytest.mark.usefixtures("slow")
def test_many_threads_of_one_client(client: Any) -> None:
    shapes: list[Any] = []

    def ask() -> None:
        shapes.append(client.infer(MODEL, tensors(window())).as_numpy("state").shape)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(WITHIN_S)
    assert shapes == [(2, 3)] * 8
