"""Typed access to ``parameters``, and the two limits a passed-through body may carry.

A parameter is a string, a number or a boolean; unknown ones are ignored, as the protocol
says. ``find_limits`` reads a body the gateway otherwise does not read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.api import InvalidRequest, Unsupported

INT64_MAX = 2**63 - 1

Parameter = str | int | float | bool
Parameters = Mapping[str, Parameter]


class _Limits(msgspec.Struct):
    timeout: Any = None
    priority: Any = None


class _Body(msgspec.Struct):
    parameters: _Limits | None = None


_BODY = msgspec.json.Decoder(_Body)


def find_limits(head: bytes) -> tuple[int | None, int | None]:
    """``(timeout_us, priority)`` of the JSON ``head``; None where absent or 0 (the default).

    Searches first and decodes only when found. Raises InvalidRequest for a wrong type or
    range (an integer of 0 to 2^63 - 1 each; priority 1 is the highest), or malformed JSON.
    """
    if b'"timeout"' not in head and b'"priority"' not in head:
        return None, None
    try:
        limits = _BODY.decode(head).parameters
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"body: {_in_body(str(error))}") from None
    if limits is None:
        return None, None
    return _limit("timeout", limits.timeout), _limit("priority", limits.priority)


def _in_body(message: str) -> str:
    text, _, place = message.partition(" - at ")
    place = place.strip("`").removeprefix("$.")
    return f"{place}: {text}" if place else text


def _limit(name: str, value: Any) -> int | None:
    if value is None:
        return None
    if type(value) is not int or not 0 <= value <= INT64_MAX:
        unit = " (microseconds)" if name == "timeout" else ""
        raise InvalidRequest(
            f"parameters.{name} is {_shown(value)}; expected an integer of 0 to 2^63 - 1{unit}"
        )
    return value or None


def boolean_parameter(field: str, parameters: Parameters, name: str) -> bool | None:
    """The boolean ``name``, None when absent. Raises InvalidRequest for another type."""
    value = parameters.get(name)
    if value is None or value is True or value is False:
        return value
    raise InvalidRequest(f"{field}: parameter {name} is {_shown(value)}; expected true or false")


def count_parameter(field: str, parameters: Parameters, name: str) -> int | None:
    """The integer ``name`` >= 0, None when absent. Raises InvalidRequest otherwise."""
    value = parameters.get(name)
    if value is None:
        return None
    if type(value) is int and 0 <= value <= INT64_MAX:
        return value
    raise InvalidRequest(f"{field}: parameter {name} is {_shown(value)}; expected an integer >= 0")


def refuse_shared_memory(field: str, parameters: Parameters) -> None:
    """Raises Unsupported when the tensor is said to lie in shared memory."""
    if "shared_memory_region" in parameters:
        raise Unsupported(
            f"{field}: parameter shared_memory_region: shared memory is not offered here; "
            "send the tensor as JSON or binary data"
        )


def _shown(value: Any) -> str:
    """A client's value, short enough for a message."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
