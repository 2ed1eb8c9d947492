"""A center that is any Open Inference Protocol server, by URL. Implements ``CenterPort``.

Theory of operation. ``start`` makes a ``RemoteCall``, gives it to the pool and returns: no
task, no coroutine and no timer a request. The body passes unread both ways. Deadlines are the
exchange's, which cancels; so an attempt needs no clock of its own but two readings, at its
start and at its end. A server that says nothing of itself is timed by the kernel (see
``path_time``). What is asked beside inference is awaited (see ``questions``), over the same
pool.

A server need not know the repository extension. One that has OpenAI's routes alone (vLLM, SGLang,
llama.cpp, Ollama) lists its models there, and that is also what it is probed with; attempts at
those routes pass through as they are. Of any other the models are those that the fleet file names
without a pattern, and ``ready`` is asked of each.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from gateway.api import (
    Center,
    ConfigError,
    InvalidRequest,
    ModelMetadata,
    NotFound,
    Refused,
    TensorSpec,
    Unsupported,
)
from gateway.centers.outbox import Outbox
from gateway.centers.port import Attempt, Call, ModelState, OnEvent, OnReport
from gateway.centers.remote.call import RemoteCall
from gateway.centers.remote.endpoint import Endpoint
from gateway.centers.remote.path_time import PathTime
from gateway.centers.remote.pool import Pool
from gateway.centers.remote.questions import Probe, Questions, Told
from gateway.centers.remote.request_head import RequestHeads, model_path
from gateway.config.settings import Remote
from gateway.wire.openai_models import read_models

NOT_OFFERED = (400, 404, 405, 501)
PATTERN = "*?["
MODELS_PATH = "/v1/models"


class _Tensor(msgspec.Struct):
    name: str
    datatype: str
    shape: tuple[int, ...] = ()


class _Metadata(msgspec.Struct):
    name: str
    versions: tuple[str, ...] = ()
    platform: str = ""
    inputs: tuple[_Tensor, ...] = ()
    outputs: tuple[_Tensor, ...] = ()


class _IndexRow(msgspec.Struct):
    name: str
    version: str = ""
    state: str = "UNAVAILABLE"
    reason: str = ""


class _Statistics(msgspec.Struct):
    model_stats: list[dict[str, Any]] = []


class RemoteCenter:
    """One row of the fleet, somewhere else. ``clock``: monotonic, in seconds."""

    def __init__(
        self,
        row: int,
        center: Center,
        endpoint: Endpoint,
        *,
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], float],
        limits: Remote,
        vantage_names: Sequence[str],
        tls: ssl.SSLContext | None = None,
        outbox: Outbox | None = None,
    ) -> None:
        self.row = row
        self.center = center
        self.clock = clock
        self.emulates = center.emulate == "center"
        self.pool = Pool(loop, center.id, endpoint, limits, clock, tls, outbox)
        self.heads = RequestHeads(endpoint, vantage_names if self.emulates else ())
        self.path = PathTime()
        self._is_openai = False
        self._endpoint = endpoint
        self._loop = loop
        self._questions = Questions(self.pool, self.heads)

    def moved(self, row: int, vantage_names: Sequence[str]) -> None:
        """It stands in another row from now on; vantages may have been added."""
        self.row = row
        if self.emulates:
            self.heads = RequestHeads(self._endpoint, vantage_names)
            self._questions = Questions(self.pool, self.heads)

    # ---- life -----------------------------------------------------------------------------

    async def open(self) -> None:
        """Connect beforehand; a center that cannot be reached now is no error."""
        await self.pool.open()
        if self.pool.connect_ms:
            self.path.seen(self.pool.connect_ms)

    async def close(self) -> None:
        """Close every connection; what is under way fails."""
        await self.pool.close()

    # ---- requests -------------------------------------------------------------------------

    def start(self, attempt: Attempt, on_event: OnEvent) -> Call:
        """See ``gateway.centers.port``."""
        call = RemoteCall(self, attempt, on_event)
        self.pool.send(call)
        return call

    def probe(self, vantage: int, on_result: OnReport) -> None:
        """``GET /v2/health/live``, or what a server of OpenAI's routes alone answers."""
        path = MODELS_PATH if self._is_openai else "/v2/health/live"
        text = self.heads.question("GET", path, vantage=vantage)
        self.pool.send(Probe(self.pool, text, self._loop, on_result))

    # ---- models ---------------------------------------------------------------------------

    def declares(self, model: str) -> bool:
        """Does one of the center's patterns match?"""
        return any(fnmatchcase(model, pattern) for pattern in self.center.models)

    async def index(self) -> tuple[ModelState, ...]:
        """Every model it has and the fleet file declares. Raises CenterError."""
        if self._is_openai:
            return await self._index_of_openai() or ()
        told = await self._questions.ask("POST", "/v2/repository/index", {})
        if told.status in NOT_OFFERED:
            found = await self._index_of_openai()
            return await self._index_by_name() if found is None else found
        rows = told.read(list[_IndexRow])
        return tuple(
            ModelState(row.name, row.version, row.state, row.reason)
            for row in rows
            if self.declares(row.name)
        )

    async def _index_of_openai(self) -> tuple[ModelState, ...] | None:
        """From ``GET /v1/models``; None when it has no such route."""
        told = await self._questions.ask("GET", MODELS_PATH)
        if told.status in NOT_OFFERED:
            self._is_openai = False
            return None
        names = read_models(told.payload) if told.status == 200 else None
        if names is None:
            raise told.error()
        self._is_openai = True
        return tuple(
            ModelState(name, "", "READY", speaks=True) for name in names if self.declares(name)
        )

    async def _index_by_name(self) -> tuple[ModelState, ...]:
        names = [name for name in self.center.models if not any(c in PATTERN for c in name)]
        if not names:
            raise ConfigError(
                f"center {self.center.id} does not list its models (it has no repository "
                f"extension), and models = {list(self.center.models)} names none without a "
                "pattern; name them in the fleet file"
            )
        states = []
        for name in names:
            told = await self._questions.ask("GET", f"{model_path(name)}/ready")
            state = "READY" if told.status == 200 else "UNAVAILABLE"
            states.append(ModelState(name, "", state, "" if told.status == 200 else "not ready"))
        return tuple(states)

    async def metadata(self, model: str, version: str) -> ModelMetadata:
        """Raises NotFound."""
        told = await self._about(model, version, "")
        found = told.read(_Metadata)
        return ModelMetadata(
            found.name, found.versions, found.platform, _specs(found.inputs), _specs(found.outputs)
        )

    async def ready(self, model: str, version: str) -> bool:
        """False while it says anything but 200 of a model it has; raises NotFound."""
        told = await self._about(model, version, "/ready")
        if told.status == 404:
            raise told.error()
        return told.status == 200

    async def config(self, model: str, version: str) -> dict[str, Any]:
        """Raises NotFound."""
        return (await self._about(model, version, "/config")).read(dict[str, Any])

    async def statistics(self, model: str, version: str) -> list[dict[str, Any]]:
        """Raises NotFound."""
        if model:
            told = await self._about(model, version, "/stats")
        else:
            told = await self._questions.ask("GET", "/v2/models/stats")
        return told.read(_Statistics).model_stats

    async def load(self, model: str) -> None:
        """Raises NotFound, or ConfigError with the center's own words."""
        await self._control(model, "load")

    async def unload(self, model: str) -> None:
        """Raises NotFound, or ConfigError with the center's own words."""
        await self._control(model, "unload")

    # ---- its pieces -----------------------------------------------------------------------

    async def _about(self, model: str, version: str, what: str) -> Told:
        self._check_declared(model)
        return await self._questions.ask("GET", f"{model_path(model, version)}{what}")

    async def _control(self, model: str, verb: str) -> None:
        self._check_declared(model)
        path = f"/v2/repository{model_path(model).removeprefix('/v2')}/{verb}"
        told = await self._questions.ask("POST", path, {})
        if told.status == 200:
            return
        error = told.error()
        if told.status == 405:
            error = Unsupported(f"center {self.center.id} has no model repository to control")
        if isinstance(error, InvalidRequest | Refused):
            raise ConfigError(str(error))
        raise error

    def _check_declared(self, model: str) -> None:
        if not self.declares(model):
            raise NotFound(
                f"model {model!r} is not declared at center {self.center.id}; its models in the "
                f"fleet file: {', '.join(self.center.models)}"
            )


def _specs(tensors: Sequence[_Tensor]) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(tensor.name, tensor.datatype, tensor.shape) for tensor in tensors)
