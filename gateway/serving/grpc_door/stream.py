"""``ModelStreamInfer``: many inferences over one call, answered in the order they are done.

Theory of operation. A stream has two threads: one writes answers as they come, and one reads
requests. It reads no further while ``IN_FLIGHT_MAX`` are under way or unwritten, so that gRPC's
flow control holds the client back. Each request is an ``InferCall`` of its own, with the stream's
metadata and deadline, and an id of its own. One that fails is an answer with an error in it; the
stream goes on. When the client goes, all that is under way is cancelled.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any, Final

from gateway.api import NearwayError, NoCapacity
from gateway.serving.grpc_door.guarding import unforeseen
from gateway.serving.grpc_door.infer import read_asked
from gateway.serving.grpc_door.infer_call import InferCall
from gateway.serving.grpc_door.invocation import CallHeaders
from gateway.serving.grpc_door.places import Places
from gateway.serving.grpc_door.response import ResponseWriter, stream_error
from gateway.serving.grpc_door.serving import Serving
from gateway.serving.grpc_door.statuses import details_of

LOG = logging.getLogger("nearway.grpc")
IN_FLIGHT_MAX: Final = 64


def no_stream(places: Places) -> NoCapacity:
    """No call of the kind that may stay open can be had."""
    return NoCapacity(
        f"{places.most} streams are open, the most this door takes; close one, try again later "
        "or raise server.grpc_calls_max",
        word="streams_open",
    )


class StreamInfer:
    """The method, as gRPC calls it."""

    def __init__(self, serving: Serving, writer: ResponseWriter, places: Places) -> None:
        self._serving = serving
        self._writer = writer
        self._places = places

    def __call__(self, requests: Any, context: Any, _request_id: str) -> Iterator[bytes]:
        """Serialized responses. Raises NoCapacity when too many streams are open."""
        if not self._places.take():
            raise no_stream(self._places)
        try:
            yield from Stream(self._serving, self._writer, requests, context).answers()
        finally:
            self._places.give_back()


class Stream:
    """One stream. Its lock guards what reader, writer and loop all touch."""

    def __init__(
        self, serving: Serving, writer: ResponseWriter, requests: Iterator[Any], context: Any
    ) -> None:
        self._serving = serving
        self._writer = writer
        self._requests = requests
        self._context = context
        self._metadata = context.invocation_metadata()
        self._told: SimpleQueue[InferCall | bytes | None] = SimpleQueue()
        self._room = threading.Semaphore(IN_FLIGHT_MAX)
        self._lock = threading.Lock()
        self._open: set[InferCall] = set()
        self._read_all = False
        self._over = False

    def answers(self) -> Iterator[bytes]:
        """Until all requests are read and answered, or the client has gone."""
        if not self._context.add_callback(self._gone):
            return
        threading.Thread(target=self._read, name="grpc stream's requests", daemon=True).start()
        while (told := self._told.get()) is not None:
            yield told if isinstance(told, bytes) else self._answer(told)
            self._room.release()

    def _answer(self, call: InferCall) -> bytes:
        asked = call.asked
        error = call.error
        if error is None:
            try:
                response = self._writer.response(call.payload, call.head_bytes, asked.id)
                return self._writer.streamed(response)
            except NearwayError as wrong:
                error = wrong
        return stream_error(details_of(error), asked.model, asked.id)

    # ---- the reader's thread --------------------------------------------------------------

    def _read(self) -> None:
        try:
            for request in self._requests:
                self._room.acquire()
                if self._over:
                    break
                self._take(request)
        except Exception as error:  # noqa: BLE001 - gRPC raises a bare one when the call is over
            LOG.debug("a stream's requests ended: %s", error)
        with self._lock:
            self._read_all = True
            if not self._open:
                self._told.put(None)

    def _take(self, request: Any) -> None:
        serving, request_id = self._serving, self._serving.new_id()
        headers = CallHeaders(self._metadata)
        try:
            asked = read_asked(request, headers, self._context, request_id, serving.front.clock())
        except NearwayError as error:
            self._told.put(stream_error(details_of(error), request.model_name, request.id))
            return
        except Exception:  # noqa: BLE001 - the request boundary: one request fails
            told = details_of(unforeseen(request_id))
            self._told.put(stream_error(told, request.model_name, request.id))
            return
        call = InferCall(asked, serving, self._ended)
        with self._lock:
            self._open.add(call)
        serving.on_loop(call.begin)

    # ---- the loop, and gRPC's threads -----------------------------------------------------

    def _ended(self, call: InferCall) -> None:
        with self._lock:
            self._open.discard(call)
            self._told.put(call)
            if self._read_all and not self._open:
                self._told.put(None)

    def _gone(self) -> None:
        """The call is over, for whatever reason."""
        self._over = True
        self._room.release()
        with self._lock:
            left = list(self._open)
        if left:
            self._serving.on_loop(lambda: _cancel(left))
        self._told.put(None)


def _cancel(calls: list[InferCall]) -> None:
    for call in calls:
        call.cancel()
