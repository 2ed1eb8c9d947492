"""Everything but inference: health, metadata, configuration, statistics, the repository.

Each asks the fleet what the routes of the same names over HTTP ask, on the gateway's loop.
"""

from __future__ import annotations

from collections.abc import Coroutine
from concurrent.futures import CancelledError
from typing import Any, TypeVar

from google.protobuf import json_format

from gateway.api import CenterDown, CenterFailed, ModelMetadata, NotFound, Unsupported
from gateway.serving.grpc_door.guarding import ClientGone
from gateway.serving.grpc_door.messages import message
from gateway.serving.grpc_door.serving import Serving
from gateway.serving.oip import EXTENSIONS, SENT_ALONG

T = TypeVar("T")


class Questions:
    """The methods, as gRPC calls them."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    def server_live(self, _request: Any, _context: Any, _request_id: str) -> Any:
        """The process answers."""
        return message("ServerLiveResponse")(live=True)

    def server_ready(self, _request: Any, _context: Any, _request_id: str) -> Any:
        """Inference is answered, by enough centers."""
        return message("ServerReadyResponse")(ready=self._serving.is_ready())

    def server_metadata(self, _request: Any, _context: Any, _request_id: str) -> Any:
        """Name, version and extensions."""
        return message("ServerMetadataResponse")(
            name="nearway", version=self._serving.front.version, extensions=EXTENSIONS
        )

    def model_ready(self, request: Any, context: Any, _request_id: str) -> Any:
        """False for a model that is loaded nowhere, whether it is known or not, as at Triton."""
        models = self._serving.models
        try:
            self._ask(models.check_ready(request.name, request.version), context)
        except (CenterDown, NotFound):
            return message("ModelReadyResponse")(ready=False)
        return message("ModelReadyResponse")(ready=True)

    def model_metadata(self, request: Any, context: Any, _request_id: str) -> Any:
        """Inputs, outputs, versions and platform. Raises NotFound."""
        models = self._serving.models
        told: ModelMetadata = self._ask(models.metadata(request.name, request.version), context)
        answer = message("ModelMetadataResponse")(
            name=told.name, versions=told.versions, platform=told.platform
        )
        for into, specs in ((answer.inputs, told.inputs), (answer.outputs, told.outputs)):
            for spec in specs:
                into.add(name=spec.name, datatype=spec.datatype, shape=spec.shape)
        return answer

    def model_config(self, request: Any, context: Any, _request_id: str) -> Any:
        """Triton's model configuration, as far as there is one here. Raises NotFound."""
        models = self._serving.models
        told = self._ask(models.config(request.name, request.version), context)
        return _parsed({"config": told}, message("ModelConfigResponse")())

    def model_statistics(self, request: Any, context: Any, _request_id: str) -> Any:
        """Triton's statistics, of one model or of all. Raises NotFound."""
        models = self._serving.models
        told = self._ask(models.statistics(request.name, request.version), context)
        return _parsed({"model_stats": told}, message("ModelStatisticsResponse")())

    def index(self, request: Any, context: Any, _request_id: str) -> Any:
        """Models and their states. Raises Unsupported for a repository by name."""
        _one_repository(request)
        models = self._serving.models
        answer = message("RepositoryIndexResponse")()
        for line in self._ask(models.index(only_ready=request.ready), context):
            answer.models.add(
                name=line.name, version=line.version, state=line.state, reason=line.reason
            )
        return answer

    def load(self, request: Any, context: Any, _request_id: str) -> Any:
        """Load or reload a model at every center that declares it."""
        _one_repository(request)
        for name in request.parameters:
            if name.startswith(SENT_ALONG):
                raise Unsupported(
                    f"parameters.{name[:60]}: a model is loaded from the repository as it lies "
                    "there; put the file into a folder of models.dirs"
                )
        self._ask(self._serving.models.load(request.model_name), context)
        return message("RepositoryModelLoadResponse")()

    def unload(self, request: Any, context: Any, _request_id: str) -> Any:
        """Unload a model at every center; no model here has dependents."""
        _one_repository(request)
        self._ask(self._serving.models.unload(request.model_name), context)
        return message("RepositoryModelUnloadResponse")()

    def _ask(self, work: Coroutine[Any, Any, T], context: Any) -> T:
        """On the loop. Raises what it raises, ClientGone."""
        asked = self._serving.run(work)
        context.add_callback(asked.cancel)
        try:
            return asked.result()
        except CancelledError:
            raise ClientGone from None


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
