"""What a center process is told: which centers, where it listens, whether it emulates."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path

import msgspec

from gateway.api import Center, ConfigError
from gateway.api.topology import Emulate
from gateway.config import Settings
from gateway.config.framed_url import FramedAddress

VANTAGE_HEADER = "x-nearway-vantage"


@dataclass(frozen=True, slots=True)
class CenterPlan:
    """What a center process was told.

    ``region`` and ``zone`` choose among the fleet's centers; both empty: all that have no URL.
    ``port`` None: no TCP; ``socket`` None: no Unix socket. ``beyond_loopback``: paths may be
    emulated on an address that other machines reach.
    """

    region: str = ""
    zone: str = ""
    host: str = "127.0.0.1"
    port: int | None = None
    socket: Path | None = None
    emulate_wan: bool = False
    beyond_loopback: bool = False

    def check(self) -> None:
        """Raises ConfigError."""
        if self.port is None and self.socket is None:
            raise ConfigError("nowhere to listen; give --port, --socket or both")
        if self.zone and not self.region:
            raise ConfigError(f"--zone {self.zone} without a region; give --region as well")
        reached = self.port is not None and not is_loopback(self.host)
        if self.emulate_wan and reached and not self.beyond_loopback:
            raise ConfigError(
                f"--emulate-wan on {self.host}: whoever reaches this address from afar would wait "
                "for a real network and an emulated one. Listen on 127.0.0.1, or insist with "
                "--beyond-loopback"
            )


def is_loopback(host: str) -> bool:
    """True for an address, or a name, that only this machine reaches."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def chosen(centers: Sequence[Center], plan: CenterPlan) -> tuple[Center, ...]:
    """The centers of the plan, as they are served here. Raises ConfigError when there are none."""
    if not plan.region:
        found = [center for center in centers if center.url is None]
        if not found:
            raise ConfigError(
                f"each of the fleet's {len(centers)} centers has a url, so none is left for --all; "
                "give a fleet file with centers without one, or name a --region"
            )
    else:
        found = [center for center in centers if _is_meant(center, plan)]
        if not found:
            regions = sorted({center.region for center in centers})
            known = sorted(c.zone for c in centers if c.region == plan.region)
            raise ConfigError(
                f"no center has region {plan.region!r}"
                + (f" and zone {plan.zone!r}" if plan.zone else "")
                + "; expected one of the "
                + (f"zones {', '.join(known)}" if known else f"regions {', '.join(regions)}")
            )
    return tuple(
        replace(center, url=None, emulate=_emulated_here(center, plan)) for center in found
    )


def _emulated_here(center: Center, plan: CenterPlan) -> Emulate:
    """A center of no process yet that wants no emulation gets none."""
    refuses = center.url is None and center.emulate == "none"
    return "gateway" if plan.emulate_wan and not refuses else "none"


def _is_meant(center: Center, plan: CenterPlan) -> bool:
    zones = ("", center.zone, center.zone.removeprefix(center.region))
    return center.region == plan.region and plan.zone in zones


def http_settings(settings: Settings, center: Center, *, emulates: bool) -> Settings:
    """A gateway's settings as the HTTP door of ``center`` needs them.

    The vantage is told by a header; who names none stands beside the center. Another center is
    never tried, and nothing of the gateway's own is damaged or logged.
    """
    change = msgspec.structs.replace
    beside = f"{center.location.lat},{center.location.lon}"
    return change(
        settings,
        server=change(settings.server, lane="aiohttp" if emulates else settings.server.lane),
        origins=change(settings.origins, header=VANTAGE_HEADER, geo_headers=(), default=beside),
        attempts=change(settings.attempts, max=1),
        planted=change(settings.planted, gateway_delay_ms=0.0),
        telemetry=change(settings.telemetry, decision_log=""),
    )


def in_words(settings: Settings) -> str:
    """The network that is emulated, for people."""
    network = settings.network
    return (
        f"{network.profile}, seed {network.seed}, border {network.border_ms:g} ms, last mile "
        f"{network.last_mile_ms:g} ms, jitter {'on' if network.jitter else 'off'}"
    )


@dataclass(frozen=True, slots=True)
class CenterListening:
    """What a center process says once it is ready. ``http``: the door of its one center."""

    addresses: tuple[FramedAddress, ...]
    http: str
    centers: tuple[Center, ...]
    models: tuple[str, ...]
    emulates: str

    def announce_to(self, path: Path) -> None:
        """``{"urls", "http", "pid"}``, written beside and renamed: nobody sees half of it."""
        part = path.with_name(path.name + ".part")
        told = {"urls": [str(a) for a in self.addresses], "http": self.http, "pid": os.getpid()}
        part.write_text(json.dumps(told))
        part.replace(path)

    def reached(self) -> tuple[Center, ...]:
        """The centers as a gateway's fleet file lists them; by the Unix socket, if there is one."""
        url = str(self.addresses[-1])
        emulate: Emulate = "center" if self.emulates else "none"
        return tuple(replace(center, url=url, emulate=emulate) for center in self.centers)
