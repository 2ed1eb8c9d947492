"""Servers with the model inside, all by the same session of onnxruntime, in one process each
where that can be chosen. Their requests are those of the Open Inference Protocol.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import onnxruntime

from bench.peers.arms.arm import Place, Table
from bench.peers.installing import Cache, version_in
from bench.peers.running import HOST, Running, answers, free_ports, process
from bench.peers.workload import INFER, MODEL, Asked, json_request

SERVED = Path(__file__).resolve().parents[1] / "served"
ONNXRUNTIME = f"onnxruntime=={onnxruntime.__version__}"
MLSERVER = ("mlserver==1.7.1", ONNXRUNTIME)
BENTOML = ("bentoml==1.4.40", ONNXRUNTIME)
RAY = ("ray[serve]==2.60.0", ONNXRUNTIME)


class MLServer:
    """MLServer."""

    name = "MLServer"
    table: Table = "server"
    note = "custom runtime, parallel_workers 0, JSON"
    slow = False

    def __init__(self) -> None:
        self._bin = Path()

    def obtain(self, cache: Cache) -> str:
        """A wheel."""
        self._bin = cache.python("mlserver", MLSERVER)
        return version_in(self._bin, "mlserver")

    def asked(self) -> Mapping[str, Asked]:
        """Inference in JSON."""
        return {self.name: json_request()}

    @contextmanager
    def started(self, place: Place) -> Iterator[Running]:
        """One process; its gRPC and metrics doors stand open beside."""
        port, grpc, metrics = free_ports(3)
        folder = place.folder
        (folder / MODEL).mkdir(parents=True, exist_ok=True)
        settings = {
            "host": HOST,
            "http_port": port,
            "grpc_port": grpc,
            "metrics_port": metrics,
            "parallel_workers": 0,
            "debug": False,
            "use_structured_logging": False,
        }
        model = {"name": MODEL, "implementation": "mlserver_mlp.Mlp"}
        (folder / "settings.json").write_text(json.dumps(settings))
        (folder / MODEL / "model-settings.json").write_text(json.dumps(model))
        command: list[str | Path] = [self._bin.resolve() / "mlserver", "start", folder.resolve()]
        ready = answers(port, f"/v2/models/{MODEL}/ready")
        with process(command, folder, place.cores, env=_env(place), ready=ready) as root:
            yield Running(port, (root,))


class BentoML:
    """BentoML."""

    name = "BentoML"
    table: Table = "server"
    note = "one worker, an asynchronous method, JSON"
    slow = True

    def __init__(self) -> None:
        self._bin = Path()

    def obtain(self, cache: Cache) -> str:
        """A wheel."""
        self._bin = cache.python("bentoml", BENTOML)
        return version_in(self._bin, "bentoml")

    def asked(self) -> Mapping[str, Asked]:
        """Inference in JSON."""
        return {self.name: json_request()}

    @contextmanager
    def started(self, place: Place) -> Iterator[Running]:
        """Its supervisor and one worker."""
        (port,) = free_ports(1)
        folder = place.folder.resolve()
        command: list[str | Path] = [
            *(self._bin.resolve() / "bentoml", "serve", "bento_mlp:Mlp"),
            *("--working-dir", SERVED, "--host", HOST, "--port", str(port)),
        ]
        env = {
            **_env(place),
            "BENTOML_HOME": str(folder / "home"),
            "BENTOML_DO_NOT_TRACK": "True",
            "BENTOML_CONFIG_OPTIONS": (
                "api_server.logging.access.enabled=false api_server.metrics.enabled=true"
            ),
        }
        ready = answers(port, "/readyz")
        with process(command, folder, place.cores, env=env, ready=ready) as root:
            yield Running(port, (root,))


class RayServe:
    """Ray Serve."""

    name = "Ray Serve"
    table: Table = "server"
    note = "one replica, one proxy, all of a local cluster's processes counted, JSON"
    slow = True

    def __init__(self) -> None:
        self._bin = Path()

    def obtain(self, cache: Cache) -> str:
        """A wheel."""
        self._bin = cache.python("ray-serve", RAY)
        return version_in(self._bin, "ray")

    def asked(self) -> Mapping[str, Asked]:
        """Inference in JSON."""
        return {self.name: json_request()}

    @contextmanager
    def started(self, place: Place) -> Iterator[Running]:
        """A driver and the cluster it starts."""
        (port,) = free_ports(1)
        command: list[str | Path] = [
            self._bin.resolve() / "python",
            SERVED / "ray_mlp.py",
            str(port),
        ]
        env = {**_env(place), "RAY_USAGE_STATS_ENABLED": "0", "RAY_SERVE_LOG_TO_STDERR": "0"}
        ready = answers(port, INFER)
        with process(command, place.folder, place.cores, env=env, ready=ready) as root:
            yield Running(port, (root,))


def _env(place: Place) -> dict[str, str]:
    """Where the model lies, and where its session's code does."""
    model = place.models / MODEL / "1" / "model.onnx"
    return {"PEERS_MODEL": str(model.resolve()), "PYTHONPATH": str(SERVED)}
