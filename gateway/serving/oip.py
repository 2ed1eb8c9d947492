"""The Open Inference Protocol's routes, but for inference: health, metadata, repository.

With Triton's extensions that real clients use: model configuration, statistics and the model
repository. Sources: the protocol's REST specification and Triton's extension documents.
"""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from gateway.api import InvalidRequest, NoCenter, TooLarge, Unsupported
from gateway.serving.body import late_body
from gateway.serving.boundary import bytes_answer, json_answer
from gateway.serving.encoding import inflate, known_encoding
from gateway.serving.front import Front
from gateway.serving.models import ModelDoor
from gateway.serving.patience import patience_of
from gateway.wire import (
    model_metadata_json,
    orca,
    repository_index_json,
    server_metadata_json,
    statistics_json,
)

EXTENSIONS = (
    "binary_tensor_data",
    "generate",
    "classification",
    "model_configuration",
    "model_repository",
    "model_repository(unload_dependents)",
    "schedule_policy",
    "statistics",
)
CONTROL_BYTES_MAX = 64 * 1024
SENT_ALONG = ("config", "file:")


class IndexRequest(msgspec.Struct):
    """Body of ``POST /v2/repository/index``."""

    repository_name: str = ""
    ready: bool = False


class ControlRequest(msgspec.Struct):
    """Body of load and unload."""

    parameters: dict[str, str | int | float | bool] = {}


class ProtocolDoor:
    """Handlers of everything under ``/v2`` that is not inference."""

    def __init__(self, front: Front, models: ModelDoor) -> None:
        self._front = front
        self._models = models
        self._patience = patience_of(front.settings)

    async def server_metadata(self, _request: web.Request) -> web.Response:
        """Name, version and extensions."""
        return bytes_answer(server_metadata_json("nearway", self._front.version, EXTENSIONS))

    async def live(self, request: web.Request) -> web.Response:
        """The process answers; a center that is asked for its load is probed for it."""
        headers, probe = request.headers, self._front.probe_center
        wanted = headers.get(orca.FORMAT_HEADER)
        if probe is None or wanted is None:
            return json_answer({"live": True})
        load = orca.format_as(wanted, await probe(headers))
        return bytes_answer(b'{"live":true}', headers={} if load is None else {orca.HEADER: load})

    async def ready(self, _request: web.Request) -> web.Response:
        """Requests are answered, by enough centers: 200, else 503 with the reason."""
        if not self._front.ready():
            raise NoCenter("not ready: the gateway is starting or draining")
        why = self._front.unready()
        if why:
            raise NoCenter(f"not ready: {why}; GET /fleet at the admin door shows the centers")
        return json_answer({"live": True, "ready": True})

    async def model_metadata(self, request: web.Request) -> web.Response:
        """Inputs, outputs, versions and platform."""
        return bytes_answer(model_metadata_json(await self._models.metadata(*_named(request))))

    async def model_ready(self, request: web.Request) -> web.Response:
        """200 when a center can answer for the model, 503 when it is known but not loaded."""
        model, version = _named(request)
        await self._models.check_ready(model, version)
        return json_answer({"name": model, "ready": True})

    async def model_config(self, request: web.Request) -> web.Response:
        """Triton's model configuration."""
        return json_answer(await self._models.config(*_named(request)))

    async def model_stats(self, request: web.Request) -> web.Response:
        """Triton's statistics, of one model or of all."""
        match = request.match_info
        stats = await self._models.statistics(match.get("model", ""), match.get("version", ""))
        return bytes_answer(statistics_json(stats))

    async def index(self, request: web.Request) -> web.Response:
        """Models and their states, as Triton lists them."""
        asked = await self._control(request, IndexRequest)
        if asked.repository_name:
            raise Unsupported(
                f"repository_name {asked.repository_name!r}: there is one repository; leave it out"
            )
        lines = await self._models.index(only_ready=asked.ready)
        rows = [(line.name, line.version, line.state, line.reason) for line in lines]
        return bytes_answer(repository_index_json(rows))

    async def load(self, request: web.Request) -> web.Response:
        """Load or reload a model at every center that declares it."""
        asked = await self._control(request, ControlRequest)
        for name in asked.parameters:
            if name.startswith(SENT_ALONG):
                raise Unsupported(
                    f"parameters.{name}: a model is loaded from the repository as it lies there; "
                    "put the file into a folder of models.dirs"
                )
        await self._models.load(request.match_info["model"])
        return json_answer({})

    async def unload(self, request: web.Request) -> web.Response:
        """Unload a model at every center; no model here has dependents."""
        await self._control(request, ControlRequest)
        await self._models.unload(request.match_info["model"])
        return json_answer({})

    async def _control(self, request: web.Request, kind: type[Any]) -> Any:
        """The body as ``kind``, its defaults when empty. Raises RequestError of many kinds."""
        body = await self._control_body(request)
        if not body.strip():
            return kind()
        try:
            return msgspec.json.decode(body, type=kind)
        except RecursionError:
            raise InvalidRequest("the body is nested too deep; it is expected flat") from None
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise InvalidRequest(f"the body is not what is expected here: {error}") from error

    async def _control_body(self, request: web.Request) -> bytes:
        intake = self._front.intake
        intake.check_media(request.headers)
        encoding = known_encoding(request.headers.get("Content-Encoding"))
        _check_control_length(request.content_length or 0)
        body = await late_body(request, intake, self._patience)
        _check_control_length(len(body))
        return body if encoding is None else await inflate(body, CONTROL_BYTES_MAX)


def _check_control_length(length: int) -> None:
    if length > CONTROL_BYTES_MAX:
        raise TooLarge(f"the body has {length} bytes, at most {CONTROL_BYTES_MAX} are read")


def _named(request: web.Request) -> tuple[str, str]:
    match = request.match_info
    return match["model"], match.get("version", "")
