"""What the door reads of a body, and the one thing it may change in it.

Only the model and whether the answer is a stream are looked at; all else is the center's to judge,
so that an upstream may know fields that nobody here does.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from gateway.api import InvalidRequest
from gateway.wire.openai_fields import Route, read_route

NAME_CHARS_MAX = 1024
_RAW = msgspec.json.Decoder(dict[str, msgspec.Raw])


def addressed(body: bytes, aliases: Mapping[str, str]) -> tuple[Route, bytes]:
    """Whom the body is for, aliases resolved, and the body with that name in it.

    Raises InvalidField, InvalidRequest.
    """
    route = read_route(body)
    if len(route.model) > NAME_CHARS_MAX:
        raise InvalidRequest(f"model has {len(route.model)} characters")
    known = aliases.get(route.model)
    if known is None:
        return route, body
    route.model = known
    try:
        fields = _RAW.decode(body)
    except msgspec.MsgspecError as error:  # an object, as ``read_route`` has seen
        raise InvalidRequest(f"the body is no JSON: {error}") from None
    fields["model"] = msgspec.Raw(msgspec.json.encode(known))
    return route, msgspec.json.encode(fields)
