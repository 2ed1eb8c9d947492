"""A small causal transformer: one graph reads prompts and continues them, many texts at once.

Theory of operation
-------------------
The graph holds no state. Who runs it keeps, by request, the keys and values of the tokens read so
far, hands them in padded to a common length, and appends what comes out:

    input_ids    INT64 [batch, new]                  tokens to read, padded on the right
    length       INT64 [batch]                       how many of them are real, at least 1
    before       INT64 [batch, 2]                    the two tokens before; 0 where there is none
    past_length  INT64 [batch]                       how many were read before
    past_key     FP32  [batch, layers, past, head]   of those, padded on the right
    past_value   FP32  [batch, layers, past, head]
    logits       FP32  [batch, vocabulary]           of the token after the last real one
    new_key      FP32  [batch, layers, new, head]    to be written at ``past_length``
    new_value    FP32  [batch, layers, new, head]

Every row has lengths of its own, so prompts and continuations of any age share a run: a row that
continues has ``length`` 1, a row that starts has ``past_length`` 0. What stands in the padding is
never looked at, but must be finite. ``past`` is the capacity of the cache, not the longest row, so
it may be rounded up and the arrays kept from step to step; with ``batch`` as the first axis the
first rows of a larger array are contiguous and pass without a copy.

All query heads share one head of keys and values (Shazeer, "Fast transformer decoding: one
write-head is all you need", 2019). That makes the cache a quarter as large, and attention of one
token a product of [heads, head] with [head, past] instead of many thin ones: on a CPU this is what
lets sixteen rows cost little more than one. Positions are rotations of queries and keys (Su et al.,
"RoFormer", 2021); the turned halves come from columns of the same matrix product, so they cost no
shuffling. A query's rows are laid out as token times head, so no transposition is needed either.

What enters the first layer is a token with its two predecessors (a short convolution over the
embeddings). To repeat a number from the text a model must find the place after the words it has
just said; with the predecessors in every key one layer finds it, and such copying, on which answers
hang, is learnt many times sooner (Olsson et al., "In-context learning and induction heads", 2022).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

FORBIDDEN = -1e9
"""Added to a score that must not count."""
ROTATION_BASE = 10_000.0
BEFORE = 2
"""Predecessors that enter with a token."""


class Size(NamedTuple):
    """What the weights are shaped by; ``heads`` are those of the queries."""

    vocabulary: int
    width: int
    layers: int
    heads: int
    head: int = 32


class Cache(NamedTuple):
    """Keys and values read so far, FP32 [batch, layers, past, head], and how many are real."""

    length: Tensor
    key: Tensor
    value: Tensor


class Angles(NamedTuple):
    """Of each new token: FP32 [batch, new, 1, head]."""

    cosine: Tensor
    sine: Tensor


class Layer(nn.Module):
    """Attention over past and new tokens, then a perceptron with squared rectifiers."""

    turn: Tensor

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size
        rotated = (size.heads + 1) * size.head
        self.before_attention = nn.LayerNorm(size.width)
        self.before_perceptron = nn.LayerNorm(size.width)
        self.to_rotated = nn.Linear(size.width, rotated, bias=False)
        self.to_value = nn.Linear(size.width, size.head, bias=False)
        self.from_heads = nn.Linear(size.heads * size.head, size.width, bias=False)
        self.up = nn.Linear(size.width, 4 * size.width, bias=False)
        self.down = nn.Linear(4 * size.width, size.width, bias=False)
        half = size.head // 2
        turn = torch.zeros(size.head, size.head)
        turn[range(half), range(half, size.head)] = -1.0
        turn[range(half, size.head), range(half)] = 1.0
        self.register_buffer("turn", torch.block_diag(*[turn] * (size.heads + 1)))

    def weights(self) -> Tensor:
        """[width, rotated + rotated + head]: queries and key, the same turned, the value."""
        plain = self.to_rotated.weight
        return torch.cat([plain, self.turn @ plain, self.to_value.weight]).t()

    def project(self, stream: Tensor, angles: Angles) -> tuple[Tensor, Tensor, Tensor]:
        """Queries [batch, new * heads, head], keys and values [batch, new, head] of the stream."""
        size = self.size
        rotated = (size.heads + 1) * size.head
        batch, new = stream.shape[0], stream.shape[1]
        product = self.before_attention(stream) @ self.weights()
        plain, turned, value = product.split([rotated, rotated, size.head], dim=2)
        four = (batch, new, size.heads + 1, size.head)
        both = plain.reshape(four) * angles.cosine + turned.reshape(four) * angles.sine
        query, key = both.split([size.heads, 1], dim=2)
        query = query.reshape(batch, new * size.heads, size.head)
        return query, key.reshape(batch, new, size.head), value

    def add(
        self, stream: Tensor, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor
    ) -> Tensor:
        """The stream after attention and perceptron; `mask` is added to the scores."""
        size = self.size
        scores = query @ keys.transpose(1, 2) * size.head**-0.5 + mask
        attended = torch.softmax(scores, dim=2) @ values
        flat = (stream.shape[0], stream.shape[1], size.heads * size.head)
        stream = stream + self.from_heads(attended.reshape(flat))
        hidden = torch.relu(self.up(self.before_perceptron(stream)))
        return stream + self.down(hidden * hidden)


def per_step(size: Size) -> Tensor:
    """By how much each dimension of a head turns from one position to the next, FP32 [head]."""
    half = torch.arange(size.head // 2, dtype=torch.float32)
    return ROTATION_BASE ** (-2 * half / size.head).repeat(2)


def turned_by(positions: Tensor, per_step: Tensor) -> Angles:
    """The angles of positions, INT64 [batch, new]."""
    turned = (positions.to(torch.float32).unsqueeze(2) * per_step).unsqueeze(2)
    return Angles(torch.cos(turned), torch.sin(turned))


def begin(network: nn.Module, size: Size) -> None:
    """Small random weights, the smaller what is added to the stream the more layers add."""
    for name, weight in network.named_parameters():
        if weight.dim() == 2:
            deep = name.endswith(("from_heads.weight", "down.weight"))
            nn.init.normal_(weight, std=0.02 if not deep else 0.02 / (2 * size.layers) ** 0.5)


class Network(nn.Module):
    """Tokens to the odds of the next one. ``forward`` is the exported graph, ``every`` trains."""

    per_step: Tensor

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size
        self.tokens = nn.Embedding(size.vocabulary, size.width)
        self.predecessors = nn.Linear(BEFORE * size.width, size.width, bias=False)
        self.layers = nn.ModuleList(Layer(size) for _ in range(size.layers))
        self.last = nn.LayerNorm(size.width)
        self.register_buffer("per_step", per_step(size))
        begin(self, size)
        nn.init.normal_(self.predecessors.weight, std=0.5 * size.width**-0.5)

    def _entered(self, input_ids: Tensor, before: Tensor) -> Tensor:
        """Each token with its predecessors, [batch, new, width]."""
        embedded = self.tokens(torch.cat([before, input_ids], dim=1))
        one, two, own = embedded[:, 1:-1], embedded[:, :-2], embedded[:, 2:]
        return own + self.predecessors(torch.cat([one, two], dim=2))

    def _mask(self, past: Tensor, past_length: Tensor, steps: Tensor) -> Tensor:
        """[batch, new * heads, past + new]: 0 where a token may look, else `FORBIDDEN`."""
        heads = self.size.heads
        unread = (torch.arange(past.shape[2]) >= past_length.unsqueeze(1)).unsqueeze(1)
        later = steps > steps.unsqueeze(1).repeat(1, heads).reshape(-1, 1)
        batch, rows, new = past_length.shape[0], steps.shape[0] * heads, steps.shape[0]
        blocked = torch.cat(
            [unread.expand(batch, rows, past.shape[2]), later.expand(batch, rows, new)], dim=2
        )
        return blocked.to(torch.float32) * FORBIDDEN

    def _read(
        self, input_ids: Tensor, before: Tensor, cache: Cache
    ) -> tuple[Tensor, Tensor, Tensor]:
        steps = torch.arange(input_ids.shape[1])
        angles = turned_by(cache.length.unsqueeze(1) + steps, self.per_step)
        mask = self._mask(cache.key, cache.length, steps)
        stream = self._entered(input_ids, before)
        past_keys = cache.key.unbind(1)
        past_values = cache.value.unbind(1)
        new_keys, new_values = [], []
        for layer, past_key, past_value in zip(self.layers, past_keys, past_values, strict=True):
            query, key, value = layer.project(stream, angles)
            keys = torch.cat([past_key, key], dim=1)
            values = torch.cat([past_value, value], dim=1)
            stream = layer.add(stream, query, keys, values, mask)
            new_keys.append(key)
            new_values.append(value)
        stack = [torch.stack(part, dim=1) for part in (new_keys, new_values)]
        return stream, stack[0], stack[1]

    def forward(
        self,
        input_ids: Tensor,
        length: Tensor,
        before: Tensor,
        past_length: Tensor,
        past_key: Tensor,
        past_value: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        cache = Cache(past_length, past_key, past_value)
        stream, new_key, new_value = self._read(input_ids, before, cache)
        at = (length - 1).reshape(-1, 1, 1).expand(-1, 1, self.size.width)
        last = self.last(stream.gather(1, at).reshape(-1, self.size.width))
        return last @ self.tokens.weight.t(), new_key, new_value

    def every(self, input_ids: Tensor) -> Tensor:
        """Whole sequences without a past: logits after every token, [batch, new, vocabulary]."""
        batch = input_ids.shape[0]
        empty = torch.zeros(batch, self.size.layers, 0, self.size.head)
        cache = Cache(torch.zeros(batch, dtype=torch.int64), empty, empty)
        nothing = torch.zeros(batch, BEFORE, dtype=torch.int64)
        stream, _, _ = self._read(input_ids, nothing, cache)
        return self.last(stream) @ self.tokens.weight.t()
