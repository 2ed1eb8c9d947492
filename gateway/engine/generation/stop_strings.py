"""The text of a row as its tokens come, up to the first stop string.

What could be the beginning of a stop string is held back until it is known to be none.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.engine.tokenizer import StreamDecoder, Tokenizer


class TextSoFar:
    """``push`` gives the text that may go out; ``stopped``: a stop string was met."""

    __slots__ = ("_decoder", "_held", "_longest", "_stops", "stopped")

    def __init__(self, tokenizer: Tokenizer, stops: Sequence[str]) -> None:
        self._decoder = StreamDecoder(tokenizer)
        self._stops = tuple(stops)
        self._longest = max(map(len, stops), default=0)
        self._held = ""
        self.stopped = False

    def push(self, token: int) -> str:
        """What may go out now."""
        return self._let_out(self._decoder.push(token))

    def finish(self) -> str:
        """The rest, when no token follows."""
        if self.stopped:
            return ""
        text = self._let_out(self._decoder.finish())
        rest, self._held = self._held, ""
        return text + ("" if self.stopped else rest)

    def _let_out(self, new: str) -> str:
        if not self._stops:
            return new
        text = self._held + new
        ends = [at for stop in self._stops if (at := text.find(stop)) >= 0]
        if ends:
            self.stopped, self._held = True, ""
            return text[: min(ends)]
        keep = self._beginning_at_end(text)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def _beginning_at_end(self, text: str) -> int:
        """How many characters at the end may begin a stop string."""
        for size in range(min(self._longest - 1, len(text)), 0, -1):
            end = text[-size:]
            if any(stop.startswith(end) for stop in self._stops):
                return size
        return 0
