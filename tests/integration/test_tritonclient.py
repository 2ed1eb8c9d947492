"""tritonclient[http], unmodified, against a running gateway: as against Triton itself."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

with warnings.catch_warnings():  # the client's own imports warn on a new Python
    warnings.simplefilter("ignore")
    import tritonclient.http as triton
    import tritonclient.http.aio as triton_aio
    from tritonclient.utils import InferenceServerException

pytestmark = pytest.mark.filterwarnings("ignore::Warning:gevent", "ignore::ResourceWarning")

MODEL = "blast-furnace"


@pytest.fixture
def client(served: Any) -> Iterator[Any]:
    client = triton.InferenceServerClient(served.address)
    yield client
    client.close()


def window(rows: int = 2) -> np.ndarray:
    return np.random.default_rng(3).normal(100, 10, (rows, 24, 12)).astype(np.float32)


def wanted(module: Any, array: np.ndarray, *, binary: bool) -> tuple[list[Any], list[Any]]:
    infer_input = module.InferInput("window", list(array.shape), "FP32")
    infer_input.set_data_from_numpy(array, binary_data=binary)
    outputs = [
        module.InferRequestedOutput(name, binary_data=binary) for name in ("temperature_c", "state")
    ]
    return [infer_input], outputs


def test_live_ready_metadata(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(MODEL)
    assert client.is_model_ready(MODEL, "1")
    assert not client.is_model_ready("no-such-model")
    server = client.get_server_metadata()
    assert server["name"] == "nearway"
    assert {"binary_tensor_data", "classification", "statistics", "model_repository"} <= set(
        server["extensions"]
    )
    model = client.get_model_metadata(MODEL)
    assert model["name"] == MODEL
    assert model["versions"] == ["1"]
    assert model["inputs"] == [{"name": "window", "datatype": "FP32", "shape": [-1, 24, 12]}]


def test_config(client: Any) -> None:
    config = client.get_model_config(MODEL)
    assert config["name"] == MODEL
    assert config["input"][0]["data_type"] == "TYPE_FP32"


@pytest.mark.parametrize("binary", [True, False])
def test_infer_both_ways(client: Any, binary: bool) -> None:
    inputs, outputs = wanted(triton, window(), binary=binary)
    answer = client.infer(MODEL, inputs, outputs=outputs, request_id="r-1")
    assert answer.get_response()["id"] == "r-1"
    assert answer.as_numpy("temperature_c").shape == (2, 1)
    assert answer.as_numpy("state").sum(axis=1) == pytest.approx([1, 1], abs=1e-5)


def test_binary_and_json_agree(client: Any) -> None:
    answers = []
    for binary in (True, False):
        inputs, outputs = wanted(triton, window(), binary=binary)
        answers.append(client.infer(MODEL, inputs, outputs=outputs).as_numpy("temperature_c"))
    assert np.array_equal(answers[0], answers[1])


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_compressed_both_ways(client: Any, algorithm: str) -> None:
    inputs, outputs = wanted(triton, window(), binary=True)
    answer = client.infer(
        MODEL,
        inputs,
        outputs=outputs,
        request_compression_algorithm=algorithm,
        response_compression_algorithm=algorithm,
    )
    assert answer.as_numpy("state").shape == (2, 3)


def test_no_outputs_asked_means_all(client: Any) -> None:
    inputs, _ = wanted(triton, window(1), binary=True)
    answer = client.infer(MODEL, inputs)
    names = {output["name"] for output in answer.get_response()["outputs"]}
    assert names == {"temperature_c", "silicon_pct", "state"}


def test_classification_names_the_class(client: Any) -> None:
    inputs, _ = wanted(triton, window(1), binary=True)
    outputs = [triton.InferRequestedOutput("state", class_count=2)]
    value, index, label = (
        client.infer(MODEL, inputs, outputs=outputs).as_numpy("state")[0][0].decode().split(":")
    )
    assert label == ("cold", "normal", "hot")[int(index)]
    assert 0 <= float(value) <= 1


def test_statistics_count_what_ran(client: Any) -> None:
    def count() -> int:
        [entry] = client.get_inference_statistics(MODEL)["model_stats"]
        return int(entry["inference_stats"]["success"]["count"])

    before = count()
    inputs, _ = wanted(triton, window(1), binary=True)
    client.infer(MODEL, inputs)
    assert count() == before + 1
    names = {entry["name"] for entry in client.get_inference_statistics()["model_stats"]}
    assert MODEL in names


def test_index_unload_load(client: Any) -> None:
    index = {entry["name"]: entry["state"] for entry in client.get_model_repository_index()}
    assert index["grid-load"] == "READY"
    client.unload_model("grid-load")
    try:
        assert not client.is_model_ready("grid-load")
    finally:
        client.load_model("grid-load")
    assert client.is_model_ready("grid-load")


def test_wrong_shape_and_unknown_model_are_told(client: Any) -> None:
    inputs, _ = wanted(triton, window()[:, :12], binary=True)
    with pytest.raises(InferenceServerException, match="window"):
        client.infer(MODEL, inputs)
    with pytest.raises(InferenceServerException, match="no-such-model") as caught:
        client.get_model_metadata("no-such-model")
    assert "404" in str(caught.value.status())
    inputs, _ = wanted(triton, window(), binary=True)
    with pytest.raises(InferenceServerException, match="no-such-model"):
        client.infer("no-such-model", inputs)


async def test_aio(served: Any) -> None:
    async with triton_aio.InferenceServerClient(served.address) as client:
        assert await client.is_server_live()
        assert await client.is_server_ready()
        assert await client.is_model_ready(MODEL)
        assert (await client.get_model_metadata(MODEL))["name"] == MODEL
        assert (await client.get_model_config(MODEL))["name"] == MODEL
        assert await client.get_model_repository_index()
        assert (await client.get_inference_statistics(MODEL))["model_stats"]
        for binary in (True, False):
            inputs, outputs = wanted(triton_aio, window(), binary=binary)
            answer = await client.infer(MODEL, inputs, outputs=outputs)
            assert answer.as_numpy("state").shape == (2, 3)
        await client.load_model(MODEL)
        inputs, _ = wanted(triton_aio, window()[:, :12], binary=True)
        with pytest.raises(InferenceServerException, match="window"):
            await client.infer(MODEL, inputs)
        with pytest.raises(InferenceServerException, match="no-such-model"):
            await client.get_model_metadata("no-such-model")
