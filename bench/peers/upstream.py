"""The upstream: nginx with answers that never change, fast enough not to be what is measured.

One worker listens on several ports and says whatever a proxy wants to hear of a server behind
it: an inference's or a completion's answer, that it lives, and which model it has.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.peers.running import HOST, Running, answers, process
from bench.peers.workload import (
    COMPLETIONS,
    INFER,
    INPUTS,
    MODEL,
    OUTPUTS,
    completion_answer,
    infer_answer,
)
from gateway.measure.cores import Cores

KEPT_REQUESTS = 1_000_000_000
BODY_KB = 64

NGINX_HEAD = """\
daemon off;
pid nginx.pid;
error_log stderr error;
worker_processes 1;
events { worker_connections 4096; }
"""

NGINX_PATHS = """\
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi; scgi_temp_path scgi;
"""
"""Where nginx would put what does not fit; its own defaults need root."""


def nginx_config(ports: Sequence[int]) -> str:
    """The whole config of the upstream."""
    listens = " ".join(f"listen {HOST}:{port};" for port in ports)
    locations = "\n".join(
        f"        location = {path} {{ return 200 '{body}'; }}" for path, body in replies().items()
    )
    return f"""{NGINX_HEAD}
http {{
{NGINX_PATHS}
    access_log off;
    default_type application/json;
    keepalive_requests {KEPT_REQUESTS};
    keepalive_timeout 3600s;
    client_body_buffer_size {BODY_KB}k;
    server {{
        {listens}
{locations}
    }}
}}
"""


def replies() -> dict[str, str]:
    """Path -> the JSON that is said there."""
    model = {
        "name": MODEL,
        "versions": ["1"],
        "platform": "onnxruntime",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, INPUTS]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, OUTPUTS]}],
    }
    served = {"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "bench"}]}
    described = {"model_path": MODEL, "tokenizer_path": MODEL, "is_generation": True}
    told: dict[str, object] = {
        "/v2": {"name": "static", "version": "1", "extensions": []},
        "/v2/health/live": {"live": True},
        "/v2/health/ready": {"ready": True},
        "/v2/repository/index": [{"name": MODEL, "version": "1", "state": "READY"}],
        f"/v2/models/{MODEL}": model,
        f"/v2/models/{MODEL}/ready": {"ready": True},
        "/health": {},
        "/v1/models": served,
        "/model_info": described,
        "/get_model_info": described,
        "/server_info": {"model_id": MODEL, "version": "1"},
        "/get_server_info": {"model_id": MODEL, "version": "1"},
    }
    said = {path: json.dumps(body) for path, body in told.items()}
    return {
        INFER: infer_answer().decode(),
        COMPLETIONS: completion_answer().decode(),
        **said,
    }


@contextmanager
def upstream(ports: Sequence[int], folder: Path, cores: Cores) -> Iterator[Running]:
    """The upstream on ``ports``, on ``cores``, while the block lasts."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "nginx.conf"
    config.write_text(nginx_config(ports))
    command: list[str | Path] = ["nginx", "-p", folder.resolve(), "-c", config.resolve()]
    with process(command, folder, cores, ready=answers(ports[0], "/health")) as root:
        yield Running(ports[0], (root,))
