"""Taking a request's body off the wire: bounded in bytes and in time.

Framing that breaks in the middle of a body is not told to its reader (aiohttp's parser drops
the payload and answers the next request with 400), so the time bound is also what ends that wait.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from gateway.api import InvalidRequest, TooLarge
from gateway.serving.admission import Admission
from gateway.serving.intake import Intake
from gateway.serving.patience import Patience


class Held:
    """The bytes of one request's body that are counted as held."""

    __slots__ = ("_admission", "bytes")

    def __init__(self, admission: Admission, begin_bytes: int) -> None:
        """``begin_bytes``: what the head said, counted already."""
        self._admission = admission
        self.bytes = begin_bytes

    def grow_to(self, size: int) -> None:
        """There are ``size`` bytes, perhaps more than the head said. Raises NoCapacity."""
        if size > self.bytes:
            self._admission.hold(size - self.bytes)
            self.bytes = size


async def late_body(
    request: web.Request, intake: Intake, patience: Patience, held: Held | None = None
) -> bytes:
    """The bytes as they come, still compressed where they are; waits ``patience.body_s`` at most.

    Raises TooLarge above the application's bound, InvalidRequest for broken framing, SlowBody,
    NoCapacity where ``held`` cannot grow; None: nobody counts what is held.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(patience.body_s):
            while piece := await request.content.readany():
                body += piece
                if len(body) > intake.body_bytes_max:
                    raise TooLarge(intake.too_large("more bytes than that"))
                if held is not None:
                    held.grow_to(len(body))
            return bytes(body)
    except web.RequestPayloadError as error:
        raise InvalidRequest(f"the body's framing is broken: {error}") from error
    except TimeoutError as error:
        raise patience.slow("body") from error
