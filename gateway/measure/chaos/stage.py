"""The stage: real center processes, proxies where the way is to break, and a gateway over them.

    generator -> gateway -> [proxy] -> center process (emulates its path and its service time)

A center that a fault of processes or of the wire is about has a process of its own; all others
share one. Ports stay what they were when a process is started again, so a gateway that reads its
fleet file once finds them.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

import aiohttp

from gateway.api import Center, ConfigError
from gateway.config.fleet_writing import fleet_toml
from gateway.measure.chaos.child import NEARWAY, PYTHON_MODULE, Child
from gateway.measure.chaos.plan import PROCESS, WIRE, ChaosPlan
from gateway.measure.gateway_process import toml_text

Sections = Mapping[str, Mapping[str, object]]
READY_WAIT_S = 30.0
READY_STEP_S = 0.1
ASK_S = 5.0
OTHERS = "others"
TIMEOUTS_MS = (21.0, 20.0)


@dataclass(frozen=True, slots=True)
class StagePlan:
    """``alone``: centers with a process of their own; ``proxied``: those behind a proxy.

    ``sections``: the config of the gateway, and of the centers as far as it concerns them.
    ``centers_config``: sections that only the centers get.
    """

    centers: tuple[Center, ...]
    alone: frozenset[str]
    proxied: frozenset[str]
    sections: Sections
    centers_sections: Sections = field(default_factory=dict)
    workers: int = 1
    shares_port: bool = False
    """The gateway lets another one listen beside it."""


def stage_plan(
    plans: Iterable[ChaosPlan],
    centers: Sequence[Center],
    sections: Sections,
    centers_sections: Sections | None = None,
    *,
    workers: int = 1,
) -> StagePlan:
    """What the faults of ``plans`` need. Raises ConfigError for an unknown target."""
    alone: set[str] = set()
    proxied: set[str] = set()
    shares = False
    for plan in plans:
        plan.check_targets(centers)
        for fault in plan.faults:
            ids = plan.members(fault, centers)
            if fault.kind in PROCESS | WIRE:
                alone.update(ids)
            if fault.kind in WIRE:
                proxied.update(ids)
            if fault.kind == "kill_worker":
                workers = max(2, workers)
            shares |= fault.kind == "restart"
    far = [c.id for c in centers if c.url is not None]
    if far:
        raise ConfigError(
            f"center {far[0]} has a url; chaos starts every center itself, so give a fleet "
            "without urls"
        )
    return StagePlan(
        tuple(centers),
        frozenset(alone),
        frozenset(proxied),
        sections,
        centers_sections or {},
        workers,
        shares,
    )


class Stage:
    """Everything is started on entry and gone on exit."""

    def __init__(self, plan: StagePlan) -> None:
        self.plan = plan
        self.url = ""
        self.admin_url = ""
        self.center_of: dict[str, Child] = {}
        self._folder = Path()
        self._exit = AsyncExitStack()
        self._starts: dict[str, tuple[str, ...]] = {}
        self._sockets: dict[str, str] = {}
        self._proxy: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._proxy_child: Child | None = None
        self.gateway: Child | None = None
        self._gateways = 0
        self._others: list[Child] = []
        self._config: tuple[Path, dict[str, dict[str, object]]] = (Path(), {})

    async def __aenter__(self) -> Stage:
        folder = self._exit.enter_context(tempfile.TemporaryDirectory(prefix="nearway-chaos-"))
        self._folder = Path(folder)
        try:
            await self._start_centers()
            await self._start_proxy()
            self.gateway = await self.start_gateway()
            await self.until_whole()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._end()

    # ---- starting -------------------------------------------------------------------------

    async def _start_centers(self) -> None:
        config = self._folder / "centers.toml"
        sections = {k: v for k, v in self.plan.sections.items() if k in ("models", "network")}
        config.write_text(toml_text({**sections, **self.plan.centers_sections}))
        groups: dict[str, tuple[Center, ...]] = {
            c.id: (c,) for c in self.plan.centers if c.id in self.plan.alone
        }
        rest = tuple(c for c in self.plan.centers if c.id not in self.plan.alone)
        if rest:
            groups[OTHERS] = rest
        for name, group in groups.items():
            fleet = self._folder / f"{name}.fleet.toml"
            fleet.write_text(fleet_toml(group), encoding="utf-8")
            socket = str(self._folder / f"{name[:40]}.socket")
            child = Child(
                f"center {name}",
                self._folder,
                (
                    *NEARWAY,
                    *("center", "--all", "--emulate-wan", "--config", str(config)),
                    *("--fleet", str(fleet), "--socket", socket),
                    *("--announce", str(self._folder / f"center {name}.announced.json")),
                ),
            )
            self._starts[child.name] = ("--port", "0")
            for center in group:
                self.center_of[center.id] = child
                self._sockets[center.id] = socket
        await asyncio.gather(*(self.start_center(c) for c in set(self.center_of.values())))

    async def start_center(self, child: Child) -> None:
        """Start it, the second time on the port of the first."""
        said = await child.start(*self._starts[child.name])
        self._starts[child.name] = ("--port", str(urlsplit(said["urls"][0]).port))

    async def _start_proxy(self) -> None:
        if not self.plan.proxied:
            return
        ways = {name: ["127.0.0.1", self._port(name)] for name in sorted(self.plan.proxied)}
        child = self._proxy_child = Child(
            "proxy",
            self._folder,
            (
                *PYTHON_MODULE,
                "gateway.measure.chaos.proxy",
                str(self._folder / "proxy.json"),
            ),
        )
        control = str(self._folder / "proxy.socket")
        spec = {"control": control, "announce": str(child.announce), "ways": ways}
        (self._folder / "proxy.json").write_text(json.dumps(spec))
        await child.start()
        self._proxy = await asyncio.open_unix_connection(control)

    def _port(self, center: str) -> int:
        return int(urlsplit(self.center_of[center].said["urls"][0]).port or 0)

    def _fleet_file(self) -> Path:
        """Where the gateway reaches every center."""
        ports = {} if self._proxy_child is None else self._proxy_child.said
        reached = [
            replace(
                center,
                url=f"nearway://127.0.0.1:{ports.get(center.id) or self._port(center.id)}",
                emulate="center",
            )
            for center in self.plan.centers
        ]
        file = self._folder / "fleet.toml"
        file.write_text(fleet_toml(reached), encoding="utf-8")
        return file

    async def start_gateway(
        self, *, beside: bool = False, sections: Sections | None = None
    ) -> Child:
        """Start a gateway; ``beside``: another one on the port of the first.

        ``sections``: what its config says besides.
        """
        self._gateways += 1
        server: dict[str, object] = {"port": 0, "admin_port": 0, "workers": self.plan.workers}
        if self.plan.shares_port:
            server["reuse_port"] = True
        if beside:
            server["port"] = urlsplit(self.url).port
        told = {
            name: dict(keys) for name, keys in {**self.plan.sections, **(sections or {})}.items()
        }
        told["server"] = {**server, **told.get("server", {})}
        told["fleet"] = {"file": str(self._fleet_file())}
        config = self._folder / f"gateway {self._gateways}.toml"
        config.write_text(toml_text(told))
        self._config = (config, told)
        name = f"gateway {self._gateways}"
        announce = self._folder / f"{name}.announced.json"
        child = Child(
            name,
            self._folder,
            (*NEARWAY, "serve", "--config", str(config), "--announce", str(announce)),
        )
        self._others.append(child)
        said = await child.start()
        self.url, self.admin_url = said["url"], said["admin_url"]
        return child

    def change_config(self, number: int) -> None:
        """Write the gateway's config anew with another ``attempts.timeout_ms``, by turns.

        A config that says what it said before would change nothing when it is read again.
        """
        file, told = self._config
        attempts = {**told.get("attempts", {}), "timeout_ms": TIMEOUTS_MS[number % 2]}
        part = file.with_name(file.name + ".part")
        part.write_text(toml_text({**told, "attempts": attempts}))
        part.replace(file)

    async def _end(self) -> None:
        if self._proxy is not None:
            self._proxy[1].close()
        await asyncio.gather(*(child.stop() for child in self.children))
        await self._exit.aclose()

    # ---- looking --------------------------------------------------------------------------

    @property
    def children(self) -> list[Child]:
        """All processes that live."""
        every = [*self._others, *dict.fromkeys(self.center_of.values())]
        every += [self._proxy_child] if self._proxy_child is not None else []
        return [child for child in every if child.alive]

    async def until_whole(self) -> None:
        """Wait until no center is ejected; what is half open needs requests to come back.

        Raises ConfigError when that takes too long.
        """
        loop = asyncio.get_running_loop()
        until_s = loop.time() + READY_WAIT_S
        while True:
            rows = await self.fleet()
            out = [str(row["center"]) for row in rows if row["health"] == "ejected"]
            if not out:
                return
            if loop.time() > until_s:
                raise ConfigError(
                    f"not in service again after {READY_WAIT_S:g} s: {', '.join(out)}; the gateway "
                    f"printed:\n{self.gateway.printed() if self.gateway else ''}"
                )
            await asyncio.sleep(READY_STEP_S)

    async def fleet(self) -> list[dict[str, object]]:
        """What the gateway knows of every center."""
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ASK_S)) as session,
            session.get(f"{self.admin_url}/fleet") as answer,
        ):
            rows: list[dict[str, object]] = (await answer.json())["centers"]
            return rows

    # ---- doing ----------------------------------------------------------------------------

    async def way(self, center: str, what: str) -> None:
        """Tell the proxy. Raises ConfigError when it refuses."""
        assert self._proxy is not None
        reader, writer = self._proxy
        writer.write(json.dumps({"way": center, "do": what}).encode() + b"\n")
        told = json.loads(await reader.readline())
        if told["error"]:
            raise ConfigError(f"the proxy could not {what} {center}: {told['error']}")

    async def center_fault(self, center: str, kind: str, value: float) -> None:
        """Tell the center's process. Raises ConfigError when it refuses."""
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(self._sockets[center]),
                timeout=aiohttp.ClientTimeout(total=ASK_S),
            ) as session,
            session.post(
                "http://localhost/faults", json={"center": center, "kind": kind, "value": value}
            ) as answer,
        ):
            if answer.status != 200:
                raise ConfigError(f"{center} refused the fault {kind}: {await answer.text()}")
