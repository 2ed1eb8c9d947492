"""One keep-alive connection to a remote center, and the answer being read on it.

Theory of operation. A connection is idle or carries one errand. Most answers lie whole in one
read and begin with a head that was seen before: such an answer is found by one search, one
look-up and one comparison of lengths. Everything else goes through llhttp (httptools), read
by read:

    carry ─▶ nothing read ─ head ─▶ gathering ─ complete ─▶ whole ─▶ idle, or closed
                                        │ larger than WHOLE_BYTES_MAX, or its length unknown
                                        ▼
                                    streaming ─ complete ─▶ end ─▶ idle, or closed

* The known head and llhttp never share an answer: a read is taken whole or fed whole.
* A connection is free before its errand hears the end: what that starts may use it.
* It is used again only when the answer was framed, both sides keep it open, nothing lies
  behind the answer and the request was written to its end. Bytes on an idle connection close
  it: nobody can know what they answer.
* A stream's reads that begin and end with a chunk may pass llhttp by, to the relay's sink: it sees
  a body in which they never were. ``_relay`` is set while its state is that between two chunks
  and everything before has been told.
* While paused nothing is read and what was read is held back, even an end.
* Bounds: the head and whatever else is not body (interim answers, trailers, chunk extensions)
  ``head_bytes_max`` in one go; the body ``answer_bytes_max``; an error's body is kept up to
  ``ERROR_BYTES_MAX`` and read on to its end.
* ``drop`` (a cancelled errand) closes the connection, for HTTP/1.1 has no other way.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import httptools

from gateway.api import CenterFailed, NearwayError
from gateway.centers.outbox import TurnWriter
from gateway.centers.port import Relay
from gateway.centers.remote.answer_head import AnswerHead, BrokenAnswer, read_head
from gateway.centers.remote.chunks import BEGINNINGS, CRLF, are_whole_chunks
from gateway.centers.remote.errand import Errand

if TYPE_CHECKING:
    from gateway.centers.remote.pool import Pool

WHOLE_BYTES_MAX = 64 * 1024
JOINED_BYTES_MAX = 16 * 1024  # joining such a body to its head is cheaper than a vector of two
ERROR_BYTES_MAX = 16 * 1024
ONE_CHUNK_BYTES = len(BEGINNINGS)
END_OF_HEAD = b"\r\n\r\n"


class Connection(asyncio.Protocol):
    """See the module. ``idle_since_s`` is the pool's; ``answers``: how many it has carried.

    ``_untouched``: llhttp has seen nothing of the answer; ``_special``: the errand is large or
    paused, so its answer takes the slow way.
    """

    __slots__ = (
        "_answer_bytes_max",
        "_at_chunk",
        "_barren_bytes",
        "_body_bytes",
        "_complete",
        "_errand",
        "_excess",
        "_find_known",
        "_find_rest",
        "_first_read",
        "_head",
        "_keep",
        "_large",
        "_pairs",
        "_parser",
        "_paused",
        "_pieces",
        "_pool",
        "_relay",
        "_relayed",
        "_special",
        "_streaming",
        "_untouched",
        "_writer",
        "_wrong",
        "answers",
        "idle_since_s",
        "transport",
    )

    transport: asyncio.Transport
    _writer: TurnWriter

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._errand: Errand | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._find_known = pool.known_heads.find
        self._find_rest = pool.known_heads.find_rest
        self._answer_bytes_max = pool.limits.answer_bytes_max
        self._pairs: list[tuple[bytes, bytes]] = []
        self._pieces: list[bytes] = []
        self._large = self._special = False
        self.answers = 0
        self.idle_since_s = 0.0
        self._forget_answer()

    def _forget_answer(self) -> None:
        """Ready for the next answer; after one that llhttp never saw there is nothing to do."""
        self._untouched = True
        self._head: AnswerHead | None = None
        self._complete = self._excess = self._keep = self._streaming = self._paused = False
        self._at_chunk = False
        self._relay: Relay | None = None
        self._relayed: Relay | None = None
        self._wrong = ""
        self._first_read = b""
        self._body_bytes = self._barren_bytes = 0
        self._pairs.clear()
        self._pieces.clear()

    # ---- the pool's and the errand's side -------------------------------------------------

    def carry(self, errand: Errand) -> None:
        """Send ``errand``; the connection must be idle."""
        self._errand = errand
        errand.connection = self
        body = errand.body
        if len(body) <= JOINED_BYTES_MAX:
            self._writer.write(errand.head() + body)
        else:
            self._large = self._special = True
            self._writer.send()
            self.transport.writelines((errand.head(), body))

    def drop(self) -> None:
        """The answer is not wanted any more: close, and tell nobody but the pool."""
        self._errand = None
        self.transport.abort()
        self._pool.forget(self)

    def stop(self, error: NearwayError) -> None:
        """Close, and fail what it carries with ``error``."""
        errand = self._errand
        self.drop()
        if errand is not None:
            errand.fail(error)

    def close_idle(self) -> None:
        """Close in good order."""
        self._writer.send()
        self.transport.close()

    def pause(self) -> None:
        """Whoever reads the answer is slow: read no more."""
        if not self._paused:
            self._paused = self._special = True
            self._relay = None
            self.transport.pause_reading()

    def resume(self) -> None:
        """Go on, first with what was held back; in a turn of its own, for whoever resumes may
        be in the midst of something."""
        if not self._paused:
            return
        self._paused = False
        if not self.transport.is_closing():
            self.transport.resume_reading()
        if self._pieces or self._complete:
            self._pool.call_soon(self._pass_on)

    # ---- asyncio's side -------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._writer = TurnWriter(self._pool.outbox, self.transport)
        self._pool.opened(self)

    def data_received(self, data: bytes) -> None:
        errand = self._errand
        if errand is None:
            self.transport.abort()
            self._pool.forget(self)
            return
        if self._untouched:
            end = data.find(END_OF_HEAD) + 4
            head = self._find_known(data[:end]) or self._find_rest(data[:end])
            if head is not None and len(data) - end == head.body_bytes and not self._special:
                self._errand = None
                self.answers += 1
                self._pool.free(self)
                errand.whole(head, data[end:])
                return
            self._untouched = False
            self._first_read = data
        else:
            relay = self._relay
            if relay is not None and (sink := relay.sink) is not None:
                # Most reads are one chunk: seen here, without another frame of Python.
                size = len(data)
                whole = size < ONE_CHUNK_BYTES and data.startswith(BEGINNINGS[size])
                if data.endswith(CRLF) if whole else are_whole_chunks(data):
                    size += self._body_bytes
                    if size <= self._answer_bytes_max and sink(data):
                        self._body_bytes = size
                        return
        self._feed(data)

    def eof_received(self) -> bool:
        """The other side says no more. Nothing may be sent on it from here on."""
        if self._errand is None:
            self._pool.forget(self)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        errand = self._errand
        self._pool.forget(self)
        if errand is None:
            return
        head = self._head
        if self._complete or (exc is None and head is not None and head.until_closed):
            self._complete, self._keep = True, False
            self._pass_on()
            return
        self._errand = None
        if self._untouched:
            self._pool.unanswered(errand, kept_open=self.answers > 0, reason=str(exc or "closed"))
        else:
            errand.fail(self._failed(f"broke its answer off: {exc or 'connection closed'}"))

    # ---- httptools' side ------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._complete:
            self._excess = True
            raise BrokenAnswer("more than one answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head is None:
            self._pairs.append((name, value))

    def on_headers_complete(self) -> None:
        parser = self._parser
        status = parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            self._pairs.clear()
            return
        try:
            head = read_head(status, parser.get_http_version(), self._pairs)
        except BrokenAnswer as broken:
            self._wrong = str(broken)
            raise
        self._head = head
        size = sum(len(name) + len(value) + 4 for name, value in self._pairs)
        if size > self._pool.limits.head_bytes_max:
            self._wrong = self._too_much_head()
        elif (head.body_bytes or 0) > self._pool.limits.answer_bytes_max:
            self._wrong = self._too_large(head.body_bytes)
        if self._wrong:
            raise BrokenAnswer(self._wrong)

    def on_body(self, body: bytes) -> None:
        self._barren_bytes = 0
        self._body_bytes += len(body)
        head = self._head
        assert head is not None
        if head.status == 200 or self._body_bytes <= ERROR_BYTES_MAX:
            self._pieces.append(body)

    def on_chunk_header(self) -> None:
        self._at_chunk = False

    def on_chunk_complete(self) -> None:
        self._at_chunk = True

    def on_message_complete(self) -> None:
        if self._head is not None:
            self._complete = True
            self._keep = bool(self._parser.should_keep_alive())

    # ---- an answer, read by read ----------------------------------------------------------

    def _feed(self, data: bytes) -> None:
        self._barren_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._excess = True
            if not self._complete:
                self._break(self._wrong or f"is no HTTP/1.1: {error}")
                return
        if self._complete:
            self._pass_on()
        elif self._body_bytes > self._pool.limits.answer_bytes_max:
            self._break(self._too_large(None))
        elif self._barren_bytes > self._pool.limits.head_bytes_max:
            self._break(self._too_much_head())
        else:
            self._stream()
            # Behind a chunk come a line end and the next size, whose line end is told of.
            if self._at_chunk and not self._pieces and not self._paused and data[-1:] == b"\n":
                self._relay = self._relayed
            else:
                self._relay = None

    def _stream(self) -> None:
        """A part of an answer is here: pass it on, or wait for the rest."""
        head, errand = self._head, self._errand
        assert errand is not None
        if head is None or head.status != 200 or not errand.streams:
            return
        if not self._streaming:
            if head.body_bytes is not None and head.body_bytes <= WHOLE_BYTES_MAX:
                return
            self._streaming = True
            self._relayed = errand.begin(head)
        self._pass_on()

    def _pass_on(self) -> None:
        """Tell the errand what has been read, unless it is paused; it may cancel at any event."""
        errand = self._errand
        if errand is None or self._paused:
            return
        if self._streaming and self._pieces:
            payload = b"".join(self._pieces)
            self._pieces.clear()
            errand.piece(payload)
        if self._complete and not self._paused and self._errand is errand:
            self._end(errand)

    def _end(self, errand: Errand) -> None:
        """The answer is complete: be free, or gone, and then tell."""
        head, streaming = self._head, self._streaming
        assert head is not None
        payload = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self.answers += 1
        self._errand = None
        if self._is_reusable():
            self._remember(head, payload)
            self._forget_answer()
            self._large = self._special = False
            self._pool.free(self)
        else:
            self.transport.abort()
            self._pool.forget(self)
        if streaming:
            errand.end(head)
        else:
            errand.whole(head, payload)

    def _is_reusable(self) -> bool:
        if not self._keep or self._excess or self.transport.is_closing():
            return False
        return not (self._large and self.transport.get_write_buffer_size())

    def _remember(self, head: AnswerHead, payload: bytes) -> None:
        """A head may be known from now on when it and its body lay in the first read alone."""
        first = self._first_read
        if head.body_bytes is None or head.status != 200:
            return
        end = first.find(END_OF_HEAD) + 4
        if end < 4:
            return  # the first read ended within the head, and some bytes of it are no head
        if len(first) - end == head.body_bytes == len(payload):
            self._pool.known_heads.add(first[:end], head)

    def _break(self, reason: str) -> None:
        """The answer is of no use, and neither is the connection."""
        errand = self._errand
        assert errand is not None
        self._errand = None
        self.transport.abort()
        self._pool.forget(self)
        errand.fail(self._failed(f"gave an answer that {reason}"))

    def _failed(self, what: str) -> NearwayError:
        return CenterFailed(f"center {self._pool.name} {what}")

    def _too_large(self, told: int | None) -> str:
        bound = self._pool.limits.answer_bytes_max
        found = "more" if told is None else f"{told} bytes"
        return f"is too large: {found}, at most {bound} are read; raise remote.answer_bytes_max"

    def _too_much_head(self) -> str:
        bound = self._pool.limits.head_bytes_max
        return f"has a head over {bound} bytes; raise remote.head_bytes_max if that is right"
