"""Reading answers off the wire: a small HTTP/1.1 reader that shares nothing with the gateway's.

Strict: what an honest server never sends is a ``Misread``.
"""

from __future__ import annotations

from dataclasses import dataclass, field


class Misread(Exception):
    """These bytes are no answer."""


@dataclass(slots=True)
class Answer:
    """One answer. ``began_s``/``ended_s``: when its first and last byte were written."""

    status: int
    fields: dict[str, str]
    began_s: float
    ended_s: float = 0.0
    body: bytearray = field(default_factory=bytearray)
    chunked: bool = False

    @property
    def closes(self) -> bool:
        """It says that no other follows."""
        return self.fields.get("connection", "").lower() == "close"


class AnswerReader:
    """``feed`` bytes; ``answers`` are the whole ones, ``current`` one that has begun."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.current: Answer | None = None
        self.interim = 0
        self.bytes = 0
        self._unread = bytearray()
        self._left = 0

    def feed(self, data: bytes, now: float) -> None:
        """Raises Misread."""
        self.bytes += len(data)
        self._unread += data
        while self._step(now):
            pass

    @property
    def clean(self) -> bool:
        """Between two answers."""
        return self.current is None and not self._unread

    def _step(self, now: float) -> bool:
        answer = self.current
        if answer is None:
            return self._head(now)
        if answer.chunked:
            return self._chunk(answer, now)
        taken = self._unread[: self._left]
        del self._unread[: len(taken)]
        answer.body += taken
        self._left -= len(taken)
        if self._left:
            return False
        self._end(answer, now)
        return True

    def _head(self, now: float) -> bool:
        end = self._unread.find(b"\r\n\r\n")
        if end < 0:
            if self._unread and not b"HTTP/1.1 ".startswith(bytes(self._unread[:9])):
                raise Misread(f"an answer begins with {bytes(self._unread[:40])!r}")
            return False
        lines = self._unread[:end].decode("latin-1").split("\r\n")
        del self._unread[: end + 4]
        version, _, rest = lines[0].partition(" ")
        if version != "HTTP/1.1" or not rest[:3].isdigit():
            raise Misread(f"a status line is {lines[0]!r}")
        status = int(rest[:3])
        if status == 100:
            self.interim += 1
            return True
        fields: dict[str, str] = {}
        for line in lines[1:]:
            name, colon, value = line.partition(": ")
            if not colon or name.lower() in fields:
                raise Misread(f"a field line is {line!r}, or it stands there twice")
            fields[name.lower()] = value
        answer = self.current = Answer(status, fields, now)
        answer.chunked = "transfer-encoding" in fields
        if answer.chunked == ("content-length" in fields):
            raise Misread(f"an answer's length is told twice or never: {fields}")
        self._left = 0 if answer.chunked else int(fields["content-length"])
        return True

    def _chunk(self, answer: Answer, now: float) -> bool:
        line_end = self._unread.find(b"\r\n")
        if line_end < 0:
            return False
        try:
            size = int(bytes(self._unread[:line_end]), 16)
        except ValueError:
            raise Misread(f"a chunk begins with {bytes(self._unread[:20])!r}") from None
        whole = line_end + 2 + size + 2
        if len(self._unread) < whole:
            return False
        if self._unread[whole - 2 : whole] != b"\r\n":
            raise Misread("a chunk does not end where it says")
        answer.body += self._unread[line_end + 2 : whole - 2]
        del self._unread[:whole]
        if size == 0:
            self._end(answer, now)
        return True

    def _end(self, answer: Answer, now: float) -> None:
        answer.ended_s = now
        self.answers.append(answer)
        self.current = None
