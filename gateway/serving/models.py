"""What a client asks about models: answered by a center that declares them.

A question goes to the healthy centers first and on to the next when a center does not have the
model or does not answer; all of it within ``attempts.deadline_ms``. Loading and unloading go to
every center that declares the model, at once, and are done when all have done it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from gateway.api import (
    CenterDown,
    ConfigError,
    DeadlineExceeded,
    Decision,
    InvalidRequest,
    ModelMetadata,
    NearwayError,
    NoCenter,
    NotFound,
)
from gateway.centers.port import CenterPort, ModelState
from gateway.serving.aliases import alias_lines, resolved
from gateway.serving.arrival import Arrival
from gateway.serving.front import Front

T = TypeVar("T")
READY = "READY"
NAMED_MAX = 5
CLOSER_S_MAX = 0.5


def is_vague(error: NearwayError, decision: Decision | None) -> bool:
    """Nobody was eligible from the start: ``ModelDoor.closer_error`` may know why."""
    return isinstance(error, NoCenter) and decision is None


class ModelDoor:
    """Questions about models, asked of the fleet."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self._aliases = front.settings.models.aliases

    async def metadata(self, model: str, version: str) -> ModelMetadata:
        """Raises NotFound when no center has it, CenterDown when none answers."""
        model, version = resolved(self._aliases, model, version)
        return await self._first(model, lambda port: port.metadata(model, version))

    async def config(self, model: str, version: str) -> dict[str, Any]:
        """Triton's model configuration. Raises as ``metadata``."""
        model, version = resolved(self._aliases, model, version)
        return await self._first(model, lambda port: port.config(model, version))

    async def statistics(self, model: str, version: str) -> list[dict[str, Any]]:
        """Triton's ``model_stats`` of one center that has it. Raises as ``metadata``."""
        model, version = resolved(self._aliases, model, version)
        return await self._first(model, lambda port: port.statistics(model, version))

    async def check_ready(self, model: str, version: str) -> None:
        """Raises CenterDown when the model is known but loaded nowhere, else as ``metadata``."""
        model, version = resolved(self._aliases, model, version)
        known = False

        async def ask(port: CenterPort) -> None:
            nonlocal known
            if not await port.ready(model, version):
                known = True
                raise NotFound(f"model {model!r} is not loaded here")

        try:
            await self._first(model, ask)
        except NotFound as error:
            if not known:
                raise
            raise CenterDown(
                f"model {model!r} is not ready: no center has it loaded; "
                f"POST /v2/repository/models/{model}/load loads it"
            ) from error

    async def closer_error(
        self, error: NearwayError, decision: Decision | None, arrival: Arrival
    ) -> NearwayError:
        """Nobody was eligible from the start: is it the model that nobody has or has loaded?

        Any other ``error`` is as close as it gets (see ``is_vague``), and so is this one when
        the centers do not say in what is left of the request's time.
        """
        if not is_vague(error, decision):
            return error
        left_s = min(arrival.deadline_s - self._front.clock(), CLOSER_S_MAX)
        try:
            async with asyncio.timeout(left_s):
                await self.check_ready(arrival.query.model, arrival.version)
        except TimeoutError:
            return error
        except NearwayError as closer:
            return closer
        return error

    async def index(self, *, only_ready: bool) -> list[ModelState]:
        """Every model any center declares; READY when it is at one center at least."""
        tasks = [port.index() for port in self._front.ports]
        answers = await self._bounded(asyncio.gather(*tasks, return_exceptions=True))
        states: dict[tuple[str, str], ModelState] = {}
        for answer in answers:
            if isinstance(answer, BaseException):
                _raise_unless_ours(answer)
                continue
            for line in answer:
                known = states.get((line.name, line.version))
                if known is None or (known.state != READY and line.state == READY):
                    states[line.name, line.version] = line
        found = [*states.values(), *alias_lines(self._aliases, list(states.values()))]
        lines = sorted(found, key=lambda line: (line.name, line.version))
        return [line for line in lines if line.state == READY or not only_ready]

    async def load(self, model: str) -> None:
        """At every center that declares it. Raises InvalidRequest or CenterDown with a list."""
        model, _ = resolved(self._aliases, model, "")
        await self._everywhere(model, "load", lambda port: port.load(model))

    async def unload(self, model: str) -> None:
        """At every center that has it; raises as ``load``, NotFound when none has it."""
        model, _ = resolved(self._aliases, model, "")
        await self._everywhere(model, "unload", lambda port: port.unload(model))

    # ---- asking ---------------------------------------------------------------------------

    async def _first(self, model: str, ask: Callable[[CenterPort], Awaitable[T]]) -> T:
        return await self._bounded(self._first_of(model, ask))

    async def _first_of(self, model: str, ask: Callable[[CenterPort], Awaitable[T]]) -> T:
        """The first answer; a center that does not have it or is silent is passed over."""
        missing: NotFound | None = None
        silent: NearwayError | None = None
        for row in self._declaring(model):
            try:
                return await ask(self._front.ports[row])
            except NotFound as error:
                missing = missing or error
            except NearwayError as error:
                silent = silent or error
        if missing is not None:
            raise missing
        raise CenterDown(f"no center that declares model {model!r} answered: {silent}")

    async def _everywhere(
        self, model: str, verb: str, do: Callable[[CenterPort], Awaitable[None]]
    ) -> None:
        rows = self._declaring(model)
        tasks = [do(self._front.ports[row]) for row in rows]
        results = await self._bounded(asyncio.gather(*tasks, return_exceptions=True))
        failed = {row: error for row, error in zip(rows, results, strict=True) if error is not None}
        if verb == "unload" and len(failed) < len(rows):
            failed = {row: e for row, e in failed.items() if not isinstance(e, NotFound)}
        for error in failed.values():
            _raise_unless_ours(error)
        if failed:
            raise self._not_everywhere(model, verb, failed, len(rows))

    def _not_everywhere(
        self, model: str, verb: str, failed: dict[int, BaseException], asked: int
    ) -> NearwayError:
        errors = list(failed.values())
        if len(failed) == asked and all(isinstance(error, NotFound) for error in errors):
            return NotFound(str(errors[0]))
        names = [self._front.center_ids[row] for row in failed]
        more = f" and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else ""
        message = (
            f"{verb} of model {model!r} failed at {len(failed)} of {asked} centers: "
            f"{', '.join(names[:NAMED_MAX])}{more}; {errors[0]}"
        )
        wrong_file = all(isinstance(error, ConfigError | NotFound) for error in errors)
        return InvalidRequest(message) if wrong_file else CenterDown(message)

    def _declaring(self, model: str) -> list[int]:
        rows = self._front.declaring(model) if model else list(range(len(self._front.ports)))
        if not rows:
            raise NotFound(
                f"model {model!r} is declared by no center; POST /v2/repository/index lists "
                "the models there are"
            )
        return rows

    async def _bounded(self, work: Awaitable[T]) -> T:
        deadline_ms = self._front.settings.attempts.deadline_ms
        try:
            async with asyncio.timeout(deadline_ms / 1e3):
                return await work
        except TimeoutError as error:
            raise DeadlineExceeded(
                f"the centers did not answer within attempts.deadline_ms = {deadline_ms:.0f}"
            ) from error


def _raise_unless_ours(error: BaseException) -> None:
    """An error outside the tree is a defect: let the boundary see it."""
    if not isinstance(error, NearwayError):
        raise error
