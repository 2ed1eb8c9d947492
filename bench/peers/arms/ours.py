"""nearway: before the upstreams, with the model inside, and before a center of its own.

Each runs as it is shipped: the default policy, every feature on. What differs from the shipped
config stands in the files written here, and the report prints all that is in force.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from bench.peers.arms.arm import Place, Table
from bench.peers.installing import Cache
from bench.peers.running import HOST, Running, answers, free_ports, process
from bench.peers.workload import MODEL, Asked, binary_request, json_request
from gateway import __version__
from gateway.api import Center
from gateway.config.fleet_file import load_fleet

NEARWAY = (sys.executable, "-m", "gateway.cli.main")
SLOTS = 64
REGION, ZONE = "cn-east-4", "b"
"""The center behind the gateway where one is."""
PROXY, DEADLINE = "nearway", "nearway, deadline in the body"
EMBEDDED_JSON, EMBEDDED_BINARY = "nearway, JSON", "nearway, binary"


class Announced(msgspec.Struct, frozen=True):
    """What a gateway writes once it is ready."""

    url: str


class NearwayProxy:
    """The gateway in front of the upstreams, which stand for every center of the shipped fleet."""

    name = PROXY
    table: Table = "proxy"
    note = "as shipped, 88 centers registered whose URLs are the upstreams, plain HTTP"
    slow = False

    def obtain(self, _cache: Cache) -> str:
        """It is what is being measured."""
        return __version__

    def asked(self) -> Mapping[str, Asked]:
        """Inference in JSON, also with a deadline in its body."""
        return {PROXY: json_request(), DEADLINE: json_request(timeout=True)}

    @contextmanager
    def started(self, place: Place) -> Iterator[Running]:
        """One process."""
        urls = [f"http://{HOST}:{port}" for port in place.upstreams]
        fleet = fleet_toml(load_fleet(None, "all"), urls)
        with gateway(place, fleet, models=None) as running:
            yield running


class NearwayEmbedded:
    """The gateway with the model inside, at one center of its own process."""

    name = "nearway embedded"
    table: Table = "server"
    note = "as shipped, one center in the process, no emulated network"
    slow = False

    def obtain(self, _cache: Cache) -> str:
        """It is what is being measured."""
        return __version__

    def asked(self) -> Mapping[str, Asked]:
        """Inference in JSON, and as a binary tensor."""
        return {EMBEDDED_JSON: json_request(), EMBEDDED_BINARY: binary_request()}

    @contextmanager
    def started(self, place: Place) -> Iterator[Running]:
        """One process."""
        with gateway(place, fleet_toml([the_center()], [None]), place.models) as running:
            yield running


class NearwayCenter:
    """The gateway before a ``nearway center``; CPU and memory are those of both together."""

    table: Table = "center"
    slow = False

    def __init__(self, name: str, scheme: str) -> None:
        self.name = name
        self.note = f"gateway and center on one core, {scheme}:// between them"
        self._scheme = scheme

    def obtain(self, _cache: Cache) -> str:
        """It is what is being measured."""
        return __version__

    def asked(self) -> Mapping[str, Asked]:
        """Inference in JSON, and as a binary tensor."""
        return {
            f"{self.name}, JSON": json_request(),
            f"{self.name}, binary": binary_request(),
        }

    @contextmanager
    def started(self, place: Place) -> Iterator[Running]:
        """Two processes: the center first, for the gateway asks it what it serves."""
        (port,) = free_ports(1)
        command: list[str | Path] = [
            *(*NEARWAY, "center", "--region", REGION, "--zone", ZONE, "--port", str(port)),
            *("--models", place.models.resolve()),
        ]
        ready = answers(port, f"/v2/models/{MODEL}/ready")
        fleet = fleet_toml([the_center()], [f"{self._scheme}://{HOST}:{port}"])
        with (
            process(command, place.folder / "center", place.cores, ready=ready) as center,
            gateway(place, fleet, models=None) as running,
        ):
            yield Running(running.port, (*running.roots, center))


FRAMED = NearwayCenter("nearway over frames", "nearway")
PLAIN = NearwayCenter("nearway over HTTP", "http")


@contextmanager
def gateway(place: Place, fleet: str, models: Path | None) -> Iterator[Running]:
    """``nearway serve`` of a fleet, without the shipped models."""
    folder = place.folder.resolve()
    announced = folder / "announced.json"
    config = write_config(folder, fleet, models)
    announced.unlink(missing_ok=True)
    command: list[str | Path] = [*NEARWAY, "serve", "--config", config, "--announce", announced]
    with process(command, folder, place.cores, ready=announced.is_file) as root:
        told = msgspec.json.decode(announced.read_bytes(), type=Announced)
        port = urlsplit(told.url).port
        assert port is not None
        yield Running(port, (root,))


def write_config(folder: Path, fleet: str, models: Path | None) -> Path:
    """The gateway's config and its fleet, in ``folder``; the config's path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "fleet.toml").write_text(fleet, encoding="utf-8")
    path = folder / "gateway.toml"
    path.write_text(config_toml(folder / "fleet.toml", models), encoding="utf-8")
    return path


def config_toml(fleet: Path, models: Path | None) -> str:
    """Ports, the fleet and the models; everything else is as shipped."""
    folders = [str(models.resolve())] if models else []
    return "\n".join(
        [
            "[server]",
            "port = 0",
            "admin_port = 0",
            "[gateway]",
            'location = "origin"',
            "[fleet]",
            f"file = {json.dumps(str(fleet.resolve()))}",
            "[models]",
            "shipped = false",
            f"dirs = {json.dumps(folders)}",
            "[telemetry]",
            'log_level = "error"',
            "",
        ]
    )


def fleet_toml(centers: Sequence[Center], urls: Sequence[str | None]) -> str:
    """The centers as single entries, each with one of ``urls`` in turn (None: in the process)."""
    lines = [f'[defaults]\nmodels = ["*"]\nslots = {SLOTS}\nemulate = "none"\n']
    for number, center in enumerate(centers):
        url = urls[number % len(urls)]
        entry = {
            "id": center.id,
            "region": center.region,
            "zone": center.zone,
            "city": center.city,
            "country": center.country,
            "lat": center.location.lat,
            "lon": center.location.lon,
            **({"url": url} if url else {}),
        }
        words = [f"{key} = {json.dumps(value)}" for key, value in entry.items()]
        lines.append("\n".join(["[[center]]", *words, ""]))
    return "\n".join(lines)


def the_center() -> Center:
    """The one center where there is one: a core site of the shipped fleet."""
    wanted = f"{REGION}{ZONE}"
    return next(center for center in load_fleet(None, "core") if center.id == wanted)
