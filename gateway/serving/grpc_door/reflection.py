"""gRPC's reflection: tools ask which services there are, and for their descriptors.

Both versions of the service have the same messages, so one class answers for both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from google.protobuf.message import DecodeError

from gateway.api import InvalidRequest
from gateway.serving.grpc_door.call import Call, Method
from gateway.serving.grpc_door.health import HEALTH
from gateway.serving.grpc_door.messages import POOL, SERVICE, message
from gateway.serving.grpc_door.places import Places
from gateway.serving.grpc_door.statuses import Code
from gateway.serving.grpc_door.stream import take_place

PACKAGE: Final = "grpc.reflection.v1"
SERVICES: Final = (
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
)
Request = message("ServerReflectionRequest", PACKAGE)
Response = message("ServerReflectionResponse", PACKAGE)
UNSENT_MAX: Final = 8
"""Answers that wait for the client to read them before no more is read of it."""


class ReflectionService:
    """``ServerReflectionInfo``, a call that stays open."""

    def __init__(self, places: Places) -> None:
        self._places = places

    def methods(self) -> dict[str, Method]:
        """By path."""
        return {f"/{name}/ServerReflectionInfo": Method(talk=self.open) for name in SERVICES}

    def open(self, call: Call) -> ReflectionTalk:
        """Raises NoCapacity when too many streams are open."""
        take_place(self._places)
        return ReflectionTalk(call, self._places)


class ReflectionTalk:
    """One call; see ``Talk``."""

    def __init__(self, call: Call, places: Places) -> None:
        self._call = call
        self._places = places
        self._unsent = 0
        self._read_all = False

    def message(self, message: bytes) -> None:
        """A question is answered at once. Raises InvalidRequest."""
        try:
            request = Request.FromString(message)
        except DecodeError as error:
            name = Request.DESCRIPTOR.full_name
            raise InvalidRequest(f"the message is no {name}: {error}") from None
        self._unsent += 1
        if self._unsent >= UNSENT_MAX:
            self._call.pause()
        self._call.send(bytes(answer_to(request).SerializeToString()))

    def end(self) -> None:
        """There are no more."""
        self._read_all = True
        self._finish()

    def sent(self) -> None:
        """An answer has left."""
        self._unsent -= 1
        self._call.resume()
        self._finish()

    def over(self) -> None:
        """The place is another's."""
        self._places.give_back()

    def _finish(self) -> None:
        if self._read_all and not self._unsent:
            self._call.finish()


def answer_to(request: Any) -> Any:
    """A response, or an error in one."""
    response = Response(valid_host=request.host, original_request=request)
    kind = request.WhichOneof("message_request")
    answer = ANSWERS.get(kind)
    if answer is None:
        _error(response, Code.INVALID_ARGUMENT, "the request asks for nothing that is known here")
        return response
    try:
        answer(response, getattr(request, kind))
    except KeyError:
        _error(response, Code.NOT_FOUND, "there is none of that name here")
    return response


def _error(response: Any, code: Code, message: str) -> None:
    response.error_response.error_code = code.value
    response.error_response.error_message = message


def _file_named(response: Any, name: str) -> None:
    _tell_file(response, POOL.FindFileByName(name))


def _file_of_symbol(response: Any, name: str) -> None:
    _tell_file(response, POOL.FindFileContainingSymbol(name))


def _file_of_extension(response: Any, asked: Any) -> None:
    kind = POOL.FindMessageTypeByName(asked.containing_type)
    _tell_file(response, POOL.FindExtensionByNumber(kind, asked.extension_number).file)


def _extension_numbers(response: Any, name: str) -> None:
    found = POOL.FindAllExtensions(POOL.FindMessageTypeByName(name))
    told = response.all_extension_numbers_response
    told.base_type_name = name
    told.extension_number.extend(sorted(one.number for one in found))


def _services(response: Any, _asked: str) -> None:
    for name in sorted((SERVICE, HEALTH, *SERVICES)):
        response.list_services_response.service.add(name=name)


def _tell_file(response: Any, file: Any) -> None:
    for one in _with_imports(file, set()):
        response.file_descriptor_response.file_descriptor_proto.append(one.serialized_pb)


def _with_imports(file: Any, told: set[str]) -> Iterator[Any]:
    """The file first, then what it imports, each once."""
    told.add(file.name)
    yield file
    for other in file.dependencies:
        if other.name not in told:
            yield from _with_imports(other, told)


ANSWERS: Final[dict[str, Callable[[Any, Any], None]]] = {
    "file_by_filename": _file_named,
    "file_containing_symbol": _file_of_symbol,
    "file_containing_extension": _file_of_extension,
    "all_extension_numbers_of_type": _extension_numbers,
    "list_services": _services,
}
