"""A text request's answer as it grows: pieces in, bytes of the body out."""

from __future__ import annotations

from gateway.engine.generation import Likelihood, Piece
from gateway.wire.openai_answers import DONE, AnswerWriter, ChoiceTold, TokenTold
from gateway.wire.openai_fields import TextRequest


class GrowingAnswer:
    """``open`` texts are not over. A stream's bytes come with each piece, others at the end."""

    def __init__(self, writer: AnswerWriter, asked: TextRequest, texts: int, prompt: int) -> None:
        """``texts``: how many there will be; ``prompt``: tokens of all prompts, each once."""
        self.open = texts
        self.tokens = 0
        self._writer = writer
        self._stream = asked.stream
        self._tells_usage = asked.include_usage
        self._prompt = prompt
        self._begun = [False] * texts
        self._chars = [0] * texts
        tells = asked.top_logprobs is not None
        self._choices = [ChoiceTold("", "", [] if tells else None) for _ in range(texts)]

    def take(self, piece: Piece) -> bytes:
        """What goes out with ``piece``; of an answer in one piece only the last brings anything."""
        self.tokens += piece.tokens
        if piece.finish:
            self.open -= 1
        return self._event(piece) if self._stream else self._whole(piece)

    def _event(self, piece: Piece) -> bytes:
        index, writer = piece.sequence.index, self._writer
        out = b""
        if not self._begun[index]:
            self._begun[index] = True
            out = writer.begin(index)
        told = None if piece.likelihood is None else [_told(piece.likelihood)]
        if piece.text or told:
            out += writer.piece(index, piece.text, told, self._chars[index])
            self._chars[index] += len(piece.text)
        if piece.finish:
            out += writer.end(index, piece.finish)
        if not self.open:
            if self._tells_usage:
                out += writer.usage(self._prompt, self.tokens)
            out += DONE
        return out

    def _whole(self, piece: Piece) -> bytes:
        choice = self._choices[piece.sequence.index]
        choice.text += piece.text
        choice.finish = piece.finish
        if piece.likelihood is not None and choice.tokens is not None:
            choice.tokens.append(_told(piece.likelihood))
        if self.open:
            return b""
        return self._writer.whole(self._choices, self._prompt, self.tokens)


def _told(likelihood: Likelihood) -> TokenTold:
    return TokenTold(likelihood.token, likelihood.log, likelihood.top)
