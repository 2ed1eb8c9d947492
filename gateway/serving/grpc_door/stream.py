"""``ModelStreamInfer``: many inferences over one call, answered in the order they are done.

Theory of operation. Each request is an ``InferCall`` of its own, with the stream's metadata and
deadline, and an id of its own. While ``IN_FLIGHT_MAX`` are under way or unsent, the call is
paused, so that flow control holds the client back. One that fails is an answer with an error in
it; the stream goes on. When the client goes, all that is under way is cancelled.
"""

from __future__ import annotations

from typing import Final

from gateway.api import NearwayError, NoCapacity
from gateway.serving.grpc_door.call import Call
from gateway.serving.grpc_door.infer import parse, read_asked
from gateway.serving.grpc_door.infer_call import InferCall
from gateway.serving.grpc_door.places import Places
from gateway.serving.grpc_door.response import ResponseWriter, stream_error
from gateway.serving.grpc_door.serving import Serving
from gateway.serving.grpc_door.statuses import details_of, unforeseen

IN_FLIGHT_MAX: Final = 64


def take_place(places: Places) -> None:
    """A call of the kind that may stay open. Raises NoCapacity: none can be had."""
    if not places.take():
        raise NoCapacity(
            f"{places.most} streams are open, the most this door takes; close one, try again "
            "later or raise server.grpc_calls_max",
            word="streams_open",
        )


class StreamInfer:
    """The method, as calls open it."""

    def __init__(self, serving: Serving, writer: ResponseWriter, places: Places) -> None:
        self._serving = serving
        self._writer = writer
        self._places = places

    def __call__(self, call: Call) -> InferTalk:
        """Raises NoCapacity when too many streams are open."""
        take_place(self._places)
        return InferTalk(self._serving, self._writer, call, self._places)


class InferTalk:
    """One stream; see ``Talk``. ``unsent``: requests that are under way, or whose answer is."""

    def __init__(
        self, serving: Serving, writer: ResponseWriter, call: Call, places: Places
    ) -> None:
        self._serving = serving
        self._writer = writer
        self._call = call
        self._places = places
        self._open: set[InferCall] = set()
        self._read_all = False
        self.unsent = 0

    def message(self, message: bytes) -> None:
        """The next request. Raises InvalidRequest for what is none: the stream ends."""
        request = parse(message)
        self.unsent += 1
        if self.unsent >= IN_FLIGHT_MAX:
            self._call.pause()
        serving, request_id = self._serving, self._serving.new_id()
        try:
            asked = read_asked(request, self._call, request_id, serving.front.clock())
        except NearwayError as error:
            told = details_of(error)
        except Exception:  # noqa: BLE001 - the request boundary: one request fails
            told = details_of(unforeseen(request_id))
        else:
            infer = InferCall(asked, serving, self._told)
            self._open.add(infer)
            infer.begin()
            return
        self._call.send(stream_error(told, request.model_name, request.id))

    def end(self) -> None:
        """There are no more."""
        self._read_all = True
        self._finish()

    def sent(self) -> None:
        """An answer has left."""
        self.unsent -= 1
        self._call.resume()
        self._finish()

    def over(self) -> None:
        """Whatever is under way is nobody's any more."""
        self._places.give_back()
        for infer in tuple(self._open):
            infer.cancel()
        self._open.clear()

    def _finish(self) -> None:
        if self._read_all and not self.unsent:
            self._call.finish()

    def _told(self, infer: InferCall) -> None:
        self._open.discard(infer)
        self._call.send(self._answer(infer))

    def _answer(self, infer: InferCall) -> bytes:
        asked, error = infer.asked, infer.error
        if error is None:
            try:
                response = self._writer.response(infer.payload, infer.head_bytes, asked.id)
                return self._writer.streamed(response)
            except NearwayError as wrong:
                error = wrong
            except Exception:  # noqa: BLE001 - as above
                error = unforeseen(asked.request_id)
        return stream_error(details_of(error), asked.model, asked.id)
