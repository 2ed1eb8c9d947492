"""Texts continued together: they join and leave between any two tokens.

Theory of operation
-------------------
``step`` makes one run of the model and says what it brought. A row *reads* its prompt, at most
``READ_TOKENS`` of it in one run, and then *writes* a token a run:

    waiting ─▶ reading ─ prompt read, first token ─▶ writing ─ end, stop string, bound ─▶ gone

* Reading and writing rows do not share a run: padded to the longest prompt, the writing ones would
  cost as much as prompts. While there are both, runs of either kind take turns, so nobody's prompt
  keeps the others from writing for longer than one bounded run.
* Rows that read together are padded to the longest, so their number times that is bounded.
* Writing rows are the first ones of the cache, reading ones follow: what the writing rows have
  read goes into the run as a slice. A batch of one costs what one row costs.
* Rows do not see one another; greedy, a row writes in company what it writes alone.

No I/O, no clock and no thread: ``run`` is called, and what it raises comes out of ``step``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from collections.abc import Sequence as Many
from typing import Final

import numpy as np

from gateway.api import NdArray
from gateway.engine.generation.cache import Cache
from gateway.engine.generation.language import CAUSAL_OUTPUTS, Language
from gateway.engine.generation.sampling import choose, log_likelihoods
from gateway.engine.generation.sequence import Finish, Likelihood, Piece, Sequence

READ_TOKENS: Final = 128
READ_TOKENS_TOGETHER: Final = 512

Run = Callable[[Mapping[str, NdArray], Many[str]], list[NdArray]]


class Batch:
    """At most ``rows_max`` sequences at once; the others wait in order.

    ``readers``: those whose prompts the last step read.
    """

    def __init__(self, run: Run, language: Language, rows_max: int) -> None:
        self._run = run
        self._tokenizer = language.tokenizer
        self._rows_max = rows_max
        self._cache = Cache(rows_max, language.layers, language.head)
        self._empty = np.zeros((rows_max, language.layers, 0, language.head), np.float32)
        self._rows: list[Sequence] = []
        self._writing = 0
        self._waiting: deque[Sequence] = deque()
        self._read_last = False
        self.readers: list[Sequence] = []

    def add(self, sequence: Sequence) -> None:
        """It joins at the next step where there is room."""
        self._waiting.append(sequence)

    @property
    def busy(self) -> bool:
        """Is there anything to do?"""
        return bool(self._rows or self._waiting)

    @property
    def rows(self) -> int:
        """Sequences that have joined."""
        return len(self._rows)

    def abandon(self) -> list[Sequence]:
        """Everybody leaves, unfinished; returns who was there."""
        left = [*self._rows, *self._waiting]
        self._rows.clear()
        self._waiting.clear()
        self._cache.rows = self._writing = 0
        return left

    def step(self) -> list[Piece]:
        """One run, or none when all have been cancelled. Raises what ``run`` raises."""
        self.readers = []
        self._drop_cancelled()
        self._join()
        if not self._rows:
            return []
        reading = len(self._rows) - self._writing
        if reading and not (self._read_last and self._writing):
            self._read_last = True
            return self._read()
        self._read_last = False
        return self._write()

    # ---- who is there ---------------------------------------------------------------------

    def _drop_cancelled(self) -> None:
        for row in range(len(self._rows) - 1, -1, -1):
            if self._rows[row].cancelled:
                self._leave(row)

    def _join(self) -> None:
        while self._waiting and len(self._rows) < self._rows_max:
            sequence = self._waiting.popleft()
            if not sequence.cancelled:
                self._cache.add()
                self._rows.append(sequence)

    def _leave(self, row: int) -> None:
        """Writing rows stay the first ones: the last of them takes the place of one that goes."""
        if row < self._writing:
            self._writing -= 1
            self._exchange(row, self._writing)
            row = self._writing
        last = self._cache.remove(row)
        self._rows[row] = self._rows[last]
        self._rows.pop()

    def _exchange(self, row: int, other: int) -> None:
        self._cache.exchange(row, other)
        rows = self._rows
        rows[row], rows[other] = rows[other], rows[row]

    # ---- reading --------------------------------------------------------------------------

    def _read(self) -> list[Piece]:
        """The next part of some prompts; whoever is through writes its first token."""
        rows, longest = self._next_readers()
        self.readers = [self._rows[row] for row in rows]
        ids = np.zeros((len(rows), longest), np.int64)
        length = np.zeros(len(rows), np.int64)
        for at, row in enumerate(rows):
            sequence = self._rows[row]
            part = sequence.prompt[sequence.read : sequence.read + READ_TOKENS]
            ids[at, : len(part)] = part
            length[at] = len(part)
        logits, key, value = self._forward(rows, ids, length)
        through: list[tuple[int, int]] = []
        for at, row in enumerate(rows):
            count, sequence = int(length[at]), self._rows[row]
            self._cache.write(row, ids[at, :count], key[at, :, :count], value[at, :, :count])
            sequence.read += count
            if sequence.read == len(sequence.prompt):
                through.append((at, row))
        tokens = choose(logits, [self._rows[row].chooser for row in rows])
        pieces = []
        for at, row in through:
            self._exchange(row, self._writing)
            pieces.append(self._take(self._rows[self._writing], tokens[at], logits[at]))
            self._writing += 1
        self._part_from(pieces)
        return pieces

    def _next_readers(self) -> tuple[range, int]:
        first, longest = self._writing, 0
        for row in range(first, len(self._rows)):
            sequence = self._rows[row]
            rest = min(READ_TOKENS, len(sequence.prompt) - sequence.read)
            longer = max(longest, rest)
            if longest and longer * (row + 1 - first) > READ_TOKENS_TOGETHER:
                return range(first, row), longest
            longest = longer
        return range(first, len(self._rows)), longest

    # ---- writing --------------------------------------------------------------------------

    def _write(self) -> list[Piece]:
        """A token more for every row that writes."""
        count = self._writing
        writers = self._rows[:count]
        ids = np.fromiter((sequence.latest for sequence in writers), np.int64, count)
        self._cache.shrink()
        logits, key, value = self._forward(range(count), ids[:, None], np.ones(count, np.int64))
        self._cache.fit(int(self._cache.length[:count].max()) + 1)
        self._cache.write_one_each(ids, key, value)
        tokens = choose(logits, [sequence.chooser for sequence in writers])
        pieces = [
            self._take(sequence, token, row)
            for sequence, token, row in zip(writers, tokens, logits, strict=True)
        ]
        self._part_from(pieces)
        return pieces

    def _take(self, sequence: Sequence, token: int, logits: NdArray) -> Piece:
        """The token is a row's next: what goes out, and is it the last?"""
        tokenizer = self._tokenizer
        if token < tokenizer.first_byte:
            return Piece(sequence, sequence.text.finish(), 0, None, "stop")
        sequence.latest = token
        sequence.produced += 1
        text = sequence.text.push(token)
        finish: Finish = ""
        if sequence.text.stopped:
            finish = "stop"
        elif sequence.produced >= sequence.tokens_max:
            text += sequence.text.finish()
            finish = "stop" if sequence.text.stopped else "length"
        likelihood = None
        if sequence.top_logprobs is not None:
            told, top = log_likelihoods(logits, token, sequence.top_logprobs)
            said = tokenizer.token_bytes
            likelihood = Likelihood(said(token), told, tuple((said(t), log) for t, log in top))
        return Piece(sequence, text, 1, likelihood, finish)

    def _part_from(self, pieces: Many[Piece]) -> None:
        ended = [self._rows.index(piece.sequence) for piece in pieces if piece.finish]
        for row in sorted(ended, reverse=True):
            self._leave(row)

    # ---- the model ------------------------------------------------------------------------

    def _forward(self, rows: range, ids: NdArray, length: NdArray) -> list[NdArray]:
        """``rows`` follow one another; where none has read anything there is no past."""
        cache, span = self._cache, slice(rows.start, rows.stop)
        past = cache.length[span]
        fresh = not past.any()
        inputs = {
            "input_ids": ids,
            "length": length,
            "before": cache.before[span],
            "past_length": past,
            "past_key": self._empty[: len(rows)] if fresh else cache.key[span],
            "past_value": self._empty[: len(rows)] if fresh else cache.value[span],
        }
        return self._run(inputs, CAUSAL_OUTPUTS)
