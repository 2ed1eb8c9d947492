"""One call: a stream of HTTP/2 whose data are messages behind a flag and a length.

Theory of operation. Most calls are one message that comes whole in one frame and ends its
stream; that is given to its method at once, and answered in one write. Otherwise bytes are
gathered until a message is whole. A call that streams hands each message to its ``Talk``, which
may ``pause`` it: then messages stay here, the window stays shut, and the client is held back. A
call is over once; ``on_over`` is then told, whether it was answered or the client has gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING, Protocol

from gateway.api import DeadlineExceeded, NearwayError, Unsupported
from gateway.serving.grpc_door.compression import ACCEPTED, plain, too_large
from gateway.serving.grpc_door.http2 import Connection, Stream
from gateway.serving.grpc_door.http2.headers import block_of
from gateway.serving.grpc_door.invocation import MEDIA_TYPE, CallHead
from gateway.serving.grpc_door.statuses import (
    Code,
    Metadata,
    code_of,
    details_of,
    status_fields,
    trailers_of,
    unforeseen,
)

if TYPE_CHECKING:
    from gateway.serving.grpc_door.calls import Calls

PREFIX = Struct(">BI")
CONTENT = (("content-type", MEDIA_TYPE), ("grpc-accept-encoding", ACCEPTED))
OK_STATUS = b"\x88"
"""``:status 200`` (RFC 7541, appendix A)."""
HEAD = OK_STATUS + block_of(CONTENT)
OK = block_of([("grpc-status", "0")])


class Talk(Protocol):
    """What is on the other end of a call that streams."""

    def message(self, message: bytes) -> None:
        """The next one."""

    def end(self) -> None:
        """There are no more."""

    def sent(self) -> None:
        """One of its messages has left."""

    def over(self) -> None:
        """The call is over, in whatever way."""


@dataclass(frozen=True, slots=True)
class Method:
    """``ask`` takes the one message of a call; ``talk`` is for one that streams its messages, and
    may raise NearwayError.
    """

    ask: Callable[[Call, bytes], None] | None = None
    talk: Callable[[Call], Talk] | None = None


class Call(Stream):
    """See the module. ``began_s``: when its head was there; ``request_id``: empty until known."""

    __slots__ = ("_asked", "_busy", "_calls", "_headed", "_held", "_message", "_owed", "_paused",
                 "_talk", "_timer", "began_s", "head", "on_over", "request_id")  # fmt: skip

    def __init__(self, connection: Connection, number: int, head: CallHead, calls: Calls) -> None:
        super().__init__(connection, number)
        self.head = head
        self.began_s = calls.clock()
        self.request_id = ""
        self.on_over: Callable[[], None] | None = None
        self._calls = calls
        self._talk: Talk | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._held = bytearray()
        self._message: bytes | None = None
        self._owed = 0
        self._asked = self._busy = self._headed = self._paused = False

    @property
    def peer(self) -> str | None:
        """The client's address; None where it has none."""
        return self.connection.peer

    def left_ms(self) -> float | None:
        """How long the client still waits; None when it has set no deadline."""
        told_s = self.head.timeout_s
        return None if told_s is None else (told_s - (self._calls.clock() - self.began_s)) * 1e3

    # ---- what HTTP/2 says ------------------------------------------------------------------

    def begin(self, *, end: bool) -> None:
        """See ``Stream``."""
        calls, head = self._calls, self.head
        calls.under_way += 1
        if head.refused:
            status = block_of([(":status", str(head.refused))])
            self.put(status, block=True, last=True)
            self.connection.out.send(self)
        elif calls.under_way > calls.most:
            self._end_with(Code.RESOURCE_EXHAUSTED, calls.too_many())
        elif head.error is not None:
            self.fail(head.error)
        elif head.method is None:
            known = f"{head.path[:100]!r} is not offered here"
            self._end_with(Code.UNIMPLEMENTED, known)
        else:
            if head.method.talk is not None:
                self._open(head.method.talk)
            if end and not self.over:
                self._deliver()

    def hear(self, payload: bytes, *, end: bool) -> None:
        """See ``Stream``. The short way is a whole message that ends its call."""
        if self._asked:  # an error is told already
            self.free(len(payload))
            return
        size = len(payload) - 5
        method = self.head.method
        if (
            end
            and size >= 0
            and payload[0] == 0
            and not self._held
            and self._message is None
            and size <= self._calls.message_bytes_max
            and int.from_bytes(payload[1:5], "big") == size
        ):
            assert method is not None
            if method.ask is not None:
                self._asked = True
                method.ask(self, payload[5:])
                return
        self._held += payload
        self._calls.hold(len(payload))
        if self._paused:
            self._owed += len(payload)
        else:
            self.free(len(payload))
        self._deliver()

    def sent(self) -> None:
        """See ``Stream``."""
        if self._talk is not None and not self.over:
            self._talk.sent()

    def ended(self) -> None:
        """See ``Stream``."""
        self._calls.under_way -= 1
        self._calls.hold(-len(self._held))
        self._held.clear()
        if self._timer is not None:
            self._timer.cancel()
        on_over, self.on_over = self.on_over, None
        if on_over is not None:
            on_over()

    def look(self, now: float) -> None:
        """See ``Stream``: a message that is too slow, or one whose call's deadline has passed."""
        if self._asked or self._talk is not None or self.said_all or self.waiting:
            return
        patience = self._calls.patience
        if now - self.began_s > patience.body_s:
            self.fail(patience.slow("body"))
        elif self.head.timeout_s is not None and now - self.began_s > self.head.timeout_s:
            self.expire()

    # ---- messages in ----------------------------------------------------------------------

    def pause(self) -> None:
        """No more messages for now."""
        self._paused = True

    def resume(self) -> None:
        """Messages again; harmless when it was not paused."""
        if not self._paused:
            return
        self._paused = False
        owed, self._owed = self._owed, 0
        self.free(owed)
        self._deliver()

    def _open(self, talk: Callable[[Call], Talk]) -> None:
        try:
            self._talk = talk(self)
        except NearwayError as error:
            self.fail(error)
        else:
            self.on_over = self._talk.over
            self.expire_in_time()

    def _deliver(self) -> None:
        """Give away what is whole. Whoever is given it may answer, pause, resume or end."""
        if self._busy:
            return
        self._busy = True
        try:
            while not self._paused and not self._asked and not self.over and self._next():
                pass
        except NearwayError as error:
            self.fail(error)
        except Exception:  # noqa: BLE001 - the request boundary: one call fails, not the connection
            self.fail(unforeseen(self.known_id()))
        finally:
            self._busy = False
        if self.heard_all and not self._paused and not self.over and not self._asked:
            self._asked = True
            self._end_of_messages()

    def _next(self) -> bool:
        """One message; False when none is whole. Raises what is wrong with it."""
        calls, held = self._calls, self._held
        calls.check_room()
        if len(held) < 5:
            return False
        flag, size = PREFIX.unpack_from(held)
        if size > calls.message_bytes_max:
            raise too_large(size, calls.message_bytes_max)
        if flag > 1:
            raise Unsupported(f"a message begins with {flag}, expected 0 or 1")
        whole = 5 + size
        if len(held) < whole:
            return False
        with memoryview(held) as view:
            message = bytes(view[5:whole])
        del held[:whole]
        calls.hold(-whole)
        if flag:
            message = plain(self.head.encoding, message, calls.message_bytes_max)
        if self._talk is not None:
            self._talk.message(message)
        elif self._message is not None:
            raise Unsupported("the call takes one message, there are more")
        else:
            self._message = message
        return True

    def _end_of_messages(self) -> None:
        method = self.head.method
        if self._held:
            self._end_with(Code.INTERNAL, "the call ends within a message")
        elif self._talk is not None:
            self._talk.end()
        elif self._message is None:
            self.fail(Unsupported("the call takes one message, there is none"))
        else:
            assert method is not None
            assert method.ask is not None
            method.ask(self, self._message)

    # ---- answers --------------------------------------------------------------------------

    def expire_in_time(self) -> None:
        """End it when its deadline passes, for whoever has no deadline of its own."""
        left_ms = self.left_ms()
        if left_ms is not None and not self.over:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, left_ms) / 1e3, self.expire)

    def expire(self) -> None:
        """The deadline has passed."""
        self.fail(DeadlineExceeded("the call's deadline has passed"))

    def answer(self, message: bytes, trailers: Metadata = ()) -> None:
        """The one answer; nobody hears it when the call is over."""
        if not self.over:
            body = PREFIX.pack(0, len(message)) + message
            self.connection.out.whole(self, HEAD, body, OK + block_of(trailers))

    def send(self, message: bytes) -> None:
        """One answer of several; ``Talk.sent`` follows."""
        if self.over:
            return
        if not self._headed:
            self._headed = True
            self.put(HEAD, block=True)
        self.put(PREFIX.pack(0, len(message)) + message)
        self.connection.out.send(self)

    def finish(self) -> None:
        """All is said."""
        if not self.over:
            if not self._headed:
                self.put(HEAD, block=True)
            self.put(OK, block=True, last=True)
            self.connection.out.send(self)

    def fail(self, error: NearwayError) -> None:
        """End the call with the error."""
        self._end_with(code_of(error), details_of(error), trailers_of(error, self.known_id()))

    def known_id(self) -> str:
        """The request's id, from now on this one."""
        if not self.request_id:
            self.request_id = self._calls.request_id(self.head.headers)
        return self.request_id

    def _end_with(self, code: Code, details: str, more: Metadata = ()) -> None:
        if self.over:
            return
        self._asked = True
        told = block_of([*status_fields(code, details), *more])
        if not self._headed:
            told = HEAD + told
        self.put(told, block=True, last=True)
        self.connection.out.send(self)
