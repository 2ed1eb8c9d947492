"""Reading the head of an inference request: a pure function of its bytes, and a cache of it.

llhttp (httptools) parses; the request line is held against the grammar before, and what llhttp
is lenient about is refused after (``gateway.serving.strictness``). A head is one of three: the
lane's own (a ``RequestHead``), one for aiohttp (None), or refused (InvalidRequest).

Keep-alive clients send the same head again and again, so heads are remembered by their bytes:
a known one costs one look-up in place of parser, checks and intake (0.3 us in place of 9).
Where an id of the request or of its trace differs each time, the head is known without it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import httptools

from gateway.api import InvalidRequest, NearwayError
from gateway.config.settings import Settings
from gateway.serving.answer_head import Asked, asked
from gateway.serving.intake import Intake, Said
from gateway.serving.packing import is_packed, wants_packed
from gateway.serving.strictness import FIELDS_MAX, head_fault, length_fault

BODY_BYTES_MAX = 1024 * 1024
"""A request with a larger body is handed to aiohttp, which does not hold all of it at once."""
HEADS_KEPT = 2048
HEAD_BYTES_KEPT = 1024

_LINE = re.compile(
    rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([!-~]+) HTTP/1\.[01]\r\n"  # one space each, RFC 9112
)
_NAME = rb"[A-Za-z0-9_][A-Za-z0-9._~-]*"
_INFER = re.compile(rb"/v2/models/(" + _NAME + rb")(?:/versions/(" + _NAME + rb"))?/infer/?")
_ELSEWHERE = ("expect", "transfer-encoding", "content-encoding")
"""A request that says one of these is aiohttp's."""
_ONCE = (b"x-request-id", b"traceparent")
"""A head that says one of these does not come again by itself."""
_IDS = re.compile(rb"\r\n(?:([Xx]-[Rr]equest-[Ii][Dd])|[Tt]raceparent): ([!-~]{1,128})(?=\r\n)")
"""Their lines as most write them; each is right by itself, with an id that can be used."""


@dataclass(slots=True)
class RequestHead:
    """What the head of an inference request says; never changed after it was made.

    ``minor``: of the HTTP version. ``plain``: HTTP/1.1, kept alive, nothing asked of the
    answer's head. ``refusal``: why it is answered with an error although it is well-formed.
    """

    model: str
    version: str
    body_bytes: int
    minor: int
    keep_alive: bool
    said: Said
    asked: Asked
    plain: bool
    request_id: str | None
    refusal: NearwayError | None = None


class _Fields:
    """Hears httptools; headers by their lower-case names, the first of a name counts.

    Whether the connection stays is asked of the parser while it is at the head's end: it forgets
    with the message.
    """

    __slots__ = (
        "by_name",
        "codings",
        "complete",
        "count",
        "hosts",
        "keep_alive",
        "minor",
        "parser",
    )

    parser: httptools.HttpRequestParser

    def __init__(self, minor: int) -> None:
        self.minor = minor
        self.keep_alive = False
        self.by_name: dict[str, str] = {}
        self.hosts: list[str] = []
        self.codings: list[str] = []
        self.count = 0
        self.complete = False

    def on_header(self, name: bytes, value: bytes | None) -> None:
        """One field line."""
        self.count += 1
        key = name.decode("ascii").lower()
        text = b"" if value is None else value.strip(b" \t")
        given = text.decode("utf-8", "surrogateescape")
        if key == "host":
            self.hosts.append(given)
        elif key == "transfer-encoding":
            self.codings.append(given)
        self.by_name.setdefault(key, given)

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self.complete = True
        self.keep_alive = self.parser.should_keep_alive()

    def get(self, name: str, /) -> str | None:
        """See ``gateway.serving.intake.Headers``."""
        return self.by_name.get(name.lower())


class HeadReader:
    """Reads heads by the settings of this gateway. ``traces``: clients' spans count; how one is
    read says ``traceparent``.
    """

    __slots__ = (
        "_body_bytes_max",
        "_elsewhere",
        "_head_bytes_max",
        "_intake",
        "traceparent",
        "traces",
    )

    def __init__(self, intake: Intake, settings: Settings) -> None:
        self.traces = bool(settings.telemetry.traces)
        self.traceparent = intake.traceparent
        self._intake = intake
        # An answer to a page of another origin says more than the lane's do.
        self._elsewhere = (*_ELSEWHERE, "origin") if settings.server.cors_origins else _ELSEWHERE
        self._head_bytes_max = settings.server.head_bytes_max
        self._body_bytes_max = min(BODY_BYTES_MAX, settings.server.body_bytes_max)

    def read(self, head: bytes, *, trusted: bool) -> RequestHead | None:
        """``head`` with its empty line. None: for aiohttp. Raises InvalidRequest: refuse it."""
        too_long = length_fault(len(head), self._head_bytes_max)
        if too_long is not None:
            raise InvalidRequest(too_long)
        line = _LINE.match(head)
        if line is None or b"#" in line[2]:
            shown = head.partition(b"\r\n")[0][:100].decode("latin-1")
            raise InvalidRequest(f"the request line is {shown!r}, expected METHOD TARGET HTTP/1.1")
        fields = _parse(head, 1 if line[0].endswith(b"1\r\n") else 0)
        fault = head_fault(line[1].decode(), (1, fields.minor), fields.hosts, fields.codings)
        if fault is not None:
            raise InvalidRequest(fault)
        path = _INFER.fullmatch(line[2])
        if path is None or line[1] != b"POST":
            return None
        if any(name in fields.by_name for name in self._elsewhere):
            return None
        if is_packed(fields) or wants_packed(fields):
            return None
        body_bytes = int(fields.by_name.get("content-length", "0"))
        if body_bytes > self._body_bytes_max:
            return None
        return self._understood(fields, path, body_bytes, trusted=trusted)

    def _understood(
        self, fields: _Fields, path: re.Match[bytes], body_bytes: int, *, trusted: bool
    ) -> RequestHead:
        intake, refusal = self._intake, None
        said = Said(0, "", None, None)
        try:
            intake.check_media(fields)
            said = intake.said(fields, trusted=trusted)
        except NearwayError as error:
            refusal = error
        wanted = asked(fields, trusted=trusted)
        return RequestHead(
            path[1].decode(),
            (path[2] or b"").decode(),
            body_bytes,
            fields.minor,
            fields.keep_alive,
            said,
            wanted,
            bool(fields.minor) and fields.keep_alive and not (wanted.load or wanted.explained),
            intake.given_id(fields),
            refusal,
        )


def _parse(head: bytes, minor: int) -> _Fields:
    """What llhttp makes of it. Raises InvalidRequest."""
    fields = _Fields(minor)
    fields.parser = httptools.HttpRequestParser(fields)
    try:
        fields.parser.feed_data(head)
    except httptools.HttpParserUpgrade:
        pass  # asked for, and never granted (RFC 9110, 7.8): a request like any other
    except httptools.HttpParserError as error:
        raise InvalidRequest(f"the head is no HTTP: {str(error).rstrip('.')}") from None
    finally:
        del fields.parser  # no cycle is left
    if not fields.complete:
        raise InvalidRequest("the head is no HTTP: it ends before its empty line")
    if fields.count > FIELDS_MAX:
        raise InvalidRequest(f"the head has {fields.count} fields, at most {FIELDS_MAX} are read")
    return fields


class HeadCache:
    """Heads by their bytes, in two generations: what was not used for a whole one is forgotten.

    ``known`` is the younger one. The lane looks there by itself, the rest goes through ``find``.
    """

    __slots__ = ("_older", "_reader", "_trusted", "known")

    _reader: HeadReader

    def __init__(self, *, trusted: bool) -> None:
        self._trusted = trusted
        self.known: dict[bytes, RequestHead] = {}
        self._older: dict[bytes, RequestHead] = {}

    def take(self, reader: HeadReader) -> None:
        """Read with this one from now on; what was read before counts no longer."""
        self._reader = reader
        self.known, self._older = {}, {}

    def __len__(self) -> int:
        return len(self.known) + len(self._older)

    def find(self, head: bytes) -> RequestHead | None:
        """As ``HeadReader.read``, but sooner for a known one."""
        found = self.known.get(head)
        if found is not None:
            return found
        if len(head) > HEAD_BYTES_KEPT:
            return self._reader.read(head, trusted=self._trusted)
        ids = _IDS.findall(head)
        if ids:
            found = self._find_without(ids, head)
            if found is not None:
                return found
        found = self._older.get(head)
        if found is None:
            found = self._reader.read(head, trusted=self._trusted)
            if found is None or not _recurs(head, found):
                return found
        if len(self.known) >= HEADS_KEPT:
            self._older, self.known = self.known, {}
        self.known[head] = found
        return found

    def _find_without(self, ids: list[tuple[bytes, bytes]], head: bytes) -> RequestHead | None:
        """The head without its ids, when that is one to remember; with the first id given."""
        rest = _IDS.sub(b"", head)
        found = self.known.get(rest)
        if found is None:
            if any(name in rest.lower() for name in _ONCE):
                return None  # one more of them, written in another way: which is the first?
            found = self.find(rest)
            if found is None or found.refusal is not None:
                return None
        given = next((value for name, value in ids if name), None)
        if self._trusted and self._reader.traces:
            spans = [value.decode() for name, value in ids if not name]
            if spans:
                traceparent = self._reader.traceparent(spans[0])
                found = replace(found, said=replace(found.said, traceparent=traceparent))
        return found if given is None else replace(found, request_id=given.decode())


def _recurs(head: bytes, read: RequestHead) -> bool:
    """Will the same bytes come again?"""
    if read.refusal is not None or read.request_id is not None:
        return False
    lower = head.lower()
    return not any(name in lower for name in _ONCE)
