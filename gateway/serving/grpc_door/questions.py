"""Everything but inference: health, metadata, configuration, statistics, the repository.

Each asks the fleet what the routes of the same names over HTTP ask.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import json_format

from gateway.api import CenterDown, CenterFailed, ModelMetadata, NotFound, Unsupported
from gateway.serving.grpc_door.call import Method
from gateway.serving.grpc_door.guarding import asked
from gateway.serving.grpc_door.messages import SERVICE, message
from gateway.serving.grpc_door.serving import Serving
from gateway.serving.oip import EXTENSIONS, SENT_ALONG


class Questions:
    """The methods; each takes a request and returns a response."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    def methods(self) -> dict[str, Method]:
        """By path."""
        named = {
            "ServerLive": self.server_live,
            "ServerReady": self.server_ready,
            "ServerMetadata": self.server_metadata,
            "ModelReady": self.model_ready,
            "ModelMetadata": self.model_metadata,
            "ModelConfig": self.model_config,
            "ModelStatistics": self.model_statistics,
            "RepositoryIndex": self.index,
            "RepositoryModelLoad": self.load,
            "RepositoryModelUnload": self.unload,
        }
        return {
            f"/{SERVICE}/{name}": Method(asked(method, message(f"{name}Request"), self._serving))
            for name, method in named.items()
        }

    async def server_live(self, _request: Any) -> Any:
        """The process answers."""
        return message("ServerLiveResponse")(live=True)

    async def server_ready(self, _request: Any) -> Any:
        """Inference is answered, by enough centers."""
        return message("ServerReadyResponse")(ready=self._serving.is_ready())

    async def server_metadata(self, _request: Any) -> Any:
        """Name, version and extensions."""
        return message("ServerMetadataResponse")(
            name="nearway", version=self._serving.front.version, extensions=EXTENSIONS
        )

    async def model_ready(self, request: Any) -> Any:
        """False for a model that is loaded nowhere, whether it is known or not, as at Triton."""
        models = self._serving.models
        try:
            await models.check_ready(request.name, request.version)
        except (CenterDown, NotFound):
            return message("ModelReadyResponse")(ready=False)
        return message("ModelReadyResponse")(ready=True)

    async def model_metadata(self, request: Any) -> Any:
        """Inputs, outputs, versions and platform. Raises NotFound."""
        models = self._serving.models
        told: ModelMetadata = await models.metadata(request.name, request.version)
        answer = message("ModelMetadataResponse")(
            name=told.name, versions=told.versions, platform=told.platform
        )
        for into, specs in ((answer.inputs, told.inputs), (answer.outputs, told.outputs)):
            for spec in specs:
                into.add(name=spec.name, datatype=spec.datatype, shape=spec.shape)
        return answer

    async def model_config(self, request: Any) -> Any:
        """Triton's model configuration, as far as there is one here. Raises NotFound."""
        models = self._serving.models
        told = await models.config(request.name, request.version)
        return _parsed({"config": told}, message("ModelConfigResponse")())

    async def model_statistics(self, request: Any) -> Any:
        """Triton's statistics, of one model or of all. Raises NotFound."""
        models = self._serving.models
        told = await models.statistics(request.name, request.version)
        return _parsed({"model_stats": told}, message("ModelStatisticsResponse")())

    async def index(self, request: Any) -> Any:
        """Models and their states. Raises Unsupported for a repository by name."""
        _one_repository(request)
        models = self._serving.models
        answer = message("RepositoryIndexResponse")()
        for line in await models.index(only_ready=request.ready):
            answer.models.add(
                name=line.name, version=line.version, state=line.state, reason=line.reason
            )
        return answer

    async def load(self, request: Any) -> Any:
        """Load or reload a model at every center that declares it."""
        _one_repository(request)
        for name in request.parameters:
            if name.startswith(SENT_ALONG):
                raise Unsupported(
                    f"parameters.{name[:60]}: a model is loaded from the repository as it lies "
                    "there; put the file into a folder of models.dirs"
                )
        await self._serving.models.load(request.model_name)
        return message("RepositoryModelLoadResponse")()

    async def unload(self, request: Any) -> Any:
        """Unload a model at every center; no model here has dependents."""
        _one_repository(request)
        await self._serving.models.unload(request.model_name)
        return message("RepositoryModelUnloadResponse")()


def _one_repository(request: Any) -> None:
    if request.repository_name:
        raise Unsupported(
            f"repository_name {request.repository_name[:60]!r}: there is one repository; "
            "leave it out"
        )


def _parsed(told: dict[str, Any], into: Any) -> Any:
    """A center's JSON as a message; what the message does not know is left out."""
    try:
        return json_format.ParseDict(told, into, ignore_unknown_fields=True)
    except json_format.ParseError as error:
        raise CenterFailed(f"the center's answer is none of the protocol: {error}") from None
