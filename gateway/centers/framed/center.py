"""A center that lives in a process of our own: the port of one row over a shared connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.api import Center, ModelMetadata
from gateway.centers.framed.connection import FramedConnection
from gateway.centers.port import Attempt, Call, ModelState, OnEvent, OnReport
from gateway.wire.frames import decode_body


class FramedCenter:
    """Implements ``CenterPort``. ``vantages``: the names of the places, by vantage.

    A path is emulated at exactly one end. Where the fleet says that the center does it and the
    center does not, or the other way round, every attempt fails with that reason.
    """

    def __init__(
        self, row: int, center: Center, connection: FramedConnection, vantages: Sequence[str]
    ) -> None:
        self.row = row
        self.center = center
        self.connection = connection
        self._id = center.id
        self._vantages = vantages
        self._emulates = center.emulate == "center"
        connection.serves(center.id, row)

    def moved(self, row: int, vantages: Sequence[str]) -> None:
        """It stands in another row from now on; vantages may have been added."""
        self.row, self._vantages = row, vantages
        self.connection.serves(self._id, row)

    # ---- requests -------------------------------------------------------------------------

    def start(self, attempt: Attempt, on_event: OnEvent) -> Call:
        """Send ``attempt``; see ``gateway.centers.port``."""
        connection = self.connection
        if connection.emulates is not self._emulates and connection.emulates is not None:
            return connection.refuse(self._id, attempt, on_event, self._disagreement())
        return connection.start(self._id, self._vantages[attempt.vantage], attempt, on_event)

    def probe(self, vantage: int, on_result: OnReport) -> None:
        """Through the same connection, with the delay of the path when the center emulates it."""
        self.connection.probe(self._id, self._vantages[vantage], on_result)

    def _disagreement(self) -> str:
        if self._emulates:
            return (
                f'center {self._id}: emulate = "center" in the fleet file, but the process at '
                f"{self.connection.name} emulates no network; start it with --emulate-wan"
            )
        return (
            f"center {self._id}: the process at {self.connection.name} emulates the network; "
            'say emulate = "center" in the fleet file, or start it without --emulate-wan'
        )

    # ---- models ---------------------------------------------------------------------------

    async def index(self) -> tuple[ModelState, ...]:
        """See ``CenterPort``; raises CenterDown."""
        return decode_body(await self.connection.ask("index", self._id), tuple[ModelState, ...])

    async def metadata(self, model: str, version: str) -> ModelMetadata:
        """Raises NotFound, CenterDown."""
        told = await self.connection.ask("metadata", self._id, model, version)
        return decode_body(told, ModelMetadata)

    async def ready(self, model: str, version: str) -> bool:
        """Raises NotFound, CenterDown."""
        return decode_body(await self.connection.ask("ready", self._id, model, version), bool)

    async def config(self, model: str, version: str) -> dict[str, Any]:
        """Raises NotFound, CenterDown."""
        told = await self.connection.ask("config", self._id, model, version)
        return decode_body(told, dict[str, Any])

    async def statistics(self, model: str, version: str) -> list[dict[str, Any]]:
        """Raises NotFound, CenterDown."""
        told = await self.connection.ask("statistics", self._id, model, version)
        return decode_body(told, list[dict[str, Any]])

    async def load(self, model: str) -> None:
        """Raises NotFound, ConfigError, CenterDown."""
        await self.connection.ask("load", self._id, model)

    async def unload(self, model: str) -> None:
        """Raises NotFound, CenterDown."""
        await self.connection.ask("unload", self._id, model)
