"""Routers of language models in front of the upstreams. They are asked for a completion.

Each balances by its cheapest rule, so that none is charged for a cleverness that nobody uses
here. The upstream answers as a server of one model does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.peers.arms.arm import Place, Table
from bench.peers.installing import Cache, printed_by, version_in
from bench.peers.running import HOST, Running, answers, free_ports, process
from bench.peers.workload import MODEL, Asked, completion_request

SGLANG = ("sglang-router==0.3.2",)
VLLM = ("vllm-router==0.1.17",)
LITELLM = ("litellm[proxy]==1.82.6",)
"""The last one before the releases of March 2026 that were withdrawn as compromised."""
PORTKEY = ("@portkey-ai/gateway@1.15.2",)
RULE = "round_robin"


class SGLangRouter:
    """SGLang's router, in Rust."""

    name = "SGLang router"
    table: Table = "proxy"
    note = f"policy {RULE}, log level error, /v1/completions"
    slow = False

    def __init__(self) -> None:
        self._bin = Path()

    def obtain(self, cache: Cache) -> str:
        """A wheel."""
        self._bin = cache.python("sglang-router", SGLANG)
        return version_in(self._bin, "sglang-router")

    def asked(self) -> Mapping[str, Asked]:
        """A completion."""
        return {self.name: completion_request()}

    @contextmanager
    def started(self, place: Place) -> Iterator[Running]:
        """As many threads as it has cores: one."""
        port, metrics = free_ports(2)
        command: list[str | Path] = [
            *(self._bin.resolve() / "python", "-m", "sglang_router.launch_router"),
            *("--host", HOST, "--port", str(port), "--prometheus-port", str(metrics)),
            *("--policy", RULE, "--log-level", "error", "--worker-urls", *_urls(place)),
        ]
        ready = answers(port, "/readiness")
        with process(command, place.folder, place.cores, ready=ready) as root:
            yield Running(port, (root,))


class VLLMRouter:
    """vLLM's router, in Rust."""

    name = "vLLM router"
    table: Table = "proxy"
    note = f"policy {RULE}, log level error, /v1/completions"
    slow = False

    def __init__(self) -> None:
        self._bin = Path()

    def obtain(self, cache: Cache) -> str:
        """A wheel."""
        self._bin = cache.python("vllm-router", VLLM)
        return version_in(self._bin, "vllm-router")

    def asked(self) -> Mapping[str, Asked]:
        """A completion."""
        return {self.name: completion_request()}

    @contextmanager
    def started(self, place: Place) -> Iterator[Running]:
        """As many threads as it has cores: one."""
        port, metrics = free_ports(2)
        command: list[str | Path] = [
            *(self._bin.resolve() / "vllm-router", "--host", HOST, "--port", str(port)),
            *("--prometheus-port", str(metrics), "--policy", RULE),
            *("--log-level", "error", "--worker-urls", *_urls(place)),
        ]
        ready = answers(port, "/readiness")
        with process(command, place.folder, place.cores, ready=ready) as root:
            yield Running(port, (root,))


class LiteLLM:
    """LiteLLM's proxy, in Python."""

    name = "LiteLLM"
    table: Table = "proxy"
    note = "1 worker, least-busy over the upstreams, /v1/completions"
    slow = True

    def __init__(self) -> None:
        self._bin = Path()

    def obtain(self, cache: Cache) -> str:
        """A wheel and its hundred requirements."""
        self._bin = cache.python("litellm", LITELLM)
        return version_in(self._bin, "litellm")

    def asked(self) -> Mapping[str, Asked]:
        """A completion."""
        return {self.name: completion_request()}

    @contextmanager
    def started(self, place: Place) -> Iterator[Running]:
        """One worker; it reads its list of prices from its own files, not from outside."""
        (port,) = free_ports(1)
        place.folder.mkdir(parents=True, exist_ok=True)
        config = place.folder / "litellm.json"
        config.write_text(litellm_config(_urls(place)))
        command: list[str | Path] = [
            *(self._bin.resolve() / "litellm", "--config", config.resolve()),
            *("--host", HOST, "--port", str(port), "--num_workers", "1"),
        ]
        env = {
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_MODE": "PRODUCTION",
            "LITELLM_TELEMETRY": "False",
            "LITELLM_LOG": "ERROR",
        }
        ready = answers(port, "/health/liveliness")
        with process(command, place.folder, place.cores, env=env, ready=ready) as root:
            yield Running(port, (root,))


class Portkey:
    """Portkey's gateway, in TypeScript."""

    name = "Portkey"
    table: Table = "proxy"
    note = "node, one custom host, /v1/completions"
    slow = True

    def __init__(self) -> None:
        self._home = Path()

    def obtain(self, cache: Cache) -> str:
        """A package of npm."""
        self._home = cache.npm("portkey", PORTKEY)
        manifest = self._home / "node_modules" / "@portkey-ai" / "gateway" / "package.json"
        printed_by("node", "--version")
        return str(json.loads(manifest.read_text())["version"])

    def asked(self) -> Mapping[str, Asked]:
        """A completion."""
        return {self.name: completion_request()}

    @contextmanager
    def started(self, place: Place) -> Iterator[Running]:
        """One process, without its console."""
        (port,) = free_ports(1)
        server = self._home / "node_modules" / "@portkey-ai" / "gateway" / "build"
        command: list[str | Path] = [
            "node",
            server.resolve() / "start-server.js",
            "--headless",
            f"--port={port}",
        ]
        upstream = {
            "x-portkey-provider": "openai",
            "x-portkey-custom-host": f"{_urls(place)[0]}/v1",
        }
        ready = answers(port, "/")
        with process(command, place.folder, place.cores, ready=ready) as root:
            yield Running(port, (root,), upstream)


def litellm_config(urls: list[str]) -> str:
    """Every upstream under the one model's name; JSON is YAML too."""
    entries = [
        {
            "model_name": MODEL,
            "litellm_params": {
                "model": f"text-completion-openai/{MODEL}",
                "api_base": f"{url}/v1",
                "api_key": "none",
            },
        }
        for url in urls
    ]
    settings = {"router_settings": {"routing_strategy": "least-busy"}}
    return json.dumps({"model_list": entries, **settings})


def _urls(place: Place) -> list[str]:
    return [f"http://{HOST}:{port}" for port in place.upstreams]
