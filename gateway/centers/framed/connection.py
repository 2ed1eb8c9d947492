"""The connection to one center process, kept up; all of its centers share it.

``open`` starts a task that connects, and connects again when the connection is lost, after a
pause that doubles up to ``BACKOFF_S_MAX``. While there is none every attempt fails at once with
the reason, so that another center is tried. That it is lost, and that it is there again, is told
for each of its centers at once (``on_reach``), before the attempts that were under way hear of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import sys
from collections.abc import Callable
from random import Random

from gateway import __version__
from gateway.api import CenterDown
from gateway.centers.framed.call import FramedCall
from gateway.centers.framed.link import Clock, FramedLink
from gateway.centers.port import Attempt, OnEvent, OnReport
from gateway.centers.shared_engine import OnCold, OnResidency, not_told
from gateway.config.framed_url import FramedAddress
from gateway.wire.frames import ResidencyLine

log = logging.getLogger("nearway.centers")

CONNECT_S = 3.0
ASK_S = 60.0
BACKOFF_S_MIN = 0.05
BACKOFF_S_MAX = 2.0
DEAD_PEER_S = 10
GOES_AWAY = "the gateway goes away"

OnReach = Callable[[str, bool], None]
"""(center, reachable): its connection was lost, or is there again."""


def nobody_told(_center: str, _reachable: bool) -> None:
    """Nobody wants to know."""


class FramedConnection:
    """One center process. ``emulates``: it draws the network; None before its first hello."""

    def __init__(
        self,
        address: FramedAddress,
        *,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        random: Random,
        on_residency: OnResidency,
        on_cold: OnCold = not_told,
        on_reach: OnReach = nobody_told,
    ) -> None:
        self.address = address
        self.emulates: bool | None = None
        self.name = str(address)
        self._loop = loop
        self._clock = clock
        self._random = random
        self.on_residency = on_residency
        self.on_cold = on_cold
        self.on_reach = on_reach
        self._closing = False
        self._rows: dict[str, int] = {}
        self._resident: set[tuple[str, str]] = set()
        self._cold: set[tuple[str, str]] = set()
        self._told_all = False
        self._link: FramedLink | None = None
        self._why = f"there is no connection to the center process at {self.name} yet"
        self._first = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def serves(self, center: str, row: int) -> None:
        """``center`` lives behind this connection; its residencies are told of as ``row``."""
        self._rows[center] = row

    # ---- its life -------------------------------------------------------------------------

    async def open(self) -> None:
        """Connect; returns when that has succeeded or failed once. It is kept up until closed."""
        if self._task is None:
            self._closing = False
            self._task = self._loop.create_task(self._keep_up(), name=f"framed {self.name}")
        await self._first.wait()

    async def close(self) -> None:
        """No attempt is taken any more; those under way fail."""
        self._closing = True
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        self._why = GOES_AWAY

    async def _keep_up(self) -> None:
        pause_s = BACKOFF_S_MIN
        while True:
            link = FramedLink(
                self.name,
                f"nearway {__version__}",
                loop=self._loop,
                clock=self._clock,
                on_resident=self._take_residency,
                on_gone=self._gone,
            )
            self._told_all = False
            since_s = self._clock()
            try:
                why = await self._life_of(link)
            finally:
                self._link = None
                link.end(GOES_AWAY)
            self._say(why)
            if self._clock() - since_s > BACKOFF_S_MAX:
                pause_s = BACKOFF_S_MIN
            await asyncio.sleep(pause_s * (0.5 + self._random.random()))
            pause_s = min(2.0 * pause_s, BACKOFF_S_MAX)

    async def _life_of(self, link: FramedLink) -> str:
        """From the first packet to the loss; returns why it ended."""
        try:
            async with asyncio.timeout(CONNECT_S):
                await self._connect(link)
                await asyncio.wait((link.greeted, link.lost), return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            return f"center process at {self.name}: no hello within {CONNECT_S:g} s"
        except OSError as error:
            return f"center process at {self.name}: {error.strerror or error}"
        if link.peer is not None and not link.lost.done():
            self._link = link
            self.emulates = bool(link.peer.emulates)
            log.info("connected to the center process at %s", self.name)
            self._first.set()
            self._tell_reach(reachable=True)
        return await link.lost

    async def _connect(self, link: FramedLink) -> None:
        address = self.address
        if address.path:
            await self._loop.create_unix_connection(lambda: link, address.path)
            return
        transport, _ = await self._loop.create_connection(lambda: link, address.host, address.port)
        notice_dead_peer(transport.get_extra_info("socket"))

    def _gone(self) -> None:
        if not self._closing:
            self._tell_reach(reachable=False)

    def _tell_reach(self, *, reachable: bool) -> None:
        for center in self._rows:
            self.on_reach(center, reachable)

    def _say(self, why: str) -> None:
        if why != self._why:
            log.warning("%s", why)
        self._why = why
        self._first.set()

    # ---- what its centers ask -------------------------------------------------------------

    def start(self, center: str, vantage: str, attempt: Attempt, on_event: OnEvent) -> FramedCall:
        """See ``CenterPort.start``."""
        link = self._link
        if link is not None:
            return link.start(center, vantage, attempt, on_event)
        return self.refuse(center, attempt, on_event, self._why)

    def refuse(self, center: str, attempt: Attempt, on_event: OnEvent, why: str) -> FramedCall:
        """An attempt that fails in the next turn."""
        call = FramedCall(None, 0, center, "", attempt, on_event)
        self._loop.call_soon(call.fail, CenterDown(why))
        return call

    def probe(self, center: str, vantage: str, on_result: OnReport) -> None:
        """See ``CenterPort.probe``."""
        if self._link is not None:
            self._link.probe(center, vantage, on_result)
        else:
            self._loop.call_soon(on_result, None)

    async def ask(self, verb: str, center: str, model: str = "", version: str = "") -> bytes:
        """The reply's body. Raises what the center raised, or CenterDown."""
        if self._link is None:
            raise CenterDown(self._why)
        try:
            async with asyncio.timeout(ASK_S):
                return await self._link.ask(verb, center, model, version)
        except TimeoutError:
            raise CenterDown(f"{self.name} did not answer within {ASK_S:g} s") from None

    # ---- what it is told ------------------------------------------------------------------

    def _take_residency(self, lines: list[ResidencyLine]) -> None:
        """The first lines of a connection are all there is; later ones are changes."""
        if not self._told_all:
            self._told_all = True
            for center, model in self._resident - {(line.center, line.model) for line in lines}:
                self._change(center, model, 0.0, resident=False)
        for line in lines:
            self._change(line.center, line.model, line.run_ms, resident=line.resident)
            self._take_cold(line)

    def _take_cold(self, line: ResidencyLine) -> None:
        """What a request waits there for a load: said only where it is, or was, above nothing."""
        key, row = (line.center, line.model), self._rows.get(line.center)
        if row is None or not line.resident:
            self._cold.discard(key)
        elif line.cold_ms or key in self._cold:
            self.on_cold(line.model, (row,), line.cold_ms, line.run_ms)
            if line.cold_ms:
                self._cold.add(key)
            else:
                self._cold.discard(key)

    def _change(self, center: str, model: str, run_ms: float, *, resident: bool) -> None:
        row = self._rows.get(center)
        if row is None:
            return
        if resident:
            self._resident.add((center, model))
        else:
            self._resident.discard((center, model))
        self.on_residency(model, row, resident, run_ms)


def notice_dead_peer(connection: socket.socket) -> None:
    """Let the kernel give a TCP connection up whose peer has vanished without a word."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if sys.platform == "linux":
        tcp = socket.IPPROTO_TCP
        connection.setsockopt(tcp, socket.TCP_KEEPIDLE, DEAD_PEER_S // 2)
        connection.setsockopt(tcp, socket.TCP_KEEPINTVL, 1)
        connection.setsockopt(tcp, socket.TCP_KEEPCNT, DEAD_PEER_S // 2)
        connection.setsockopt(tcp, socket.TCP_USER_TIMEOUT, DEAD_PEER_S * 1000)
