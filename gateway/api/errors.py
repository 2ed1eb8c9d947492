"""What can go wrong, as one tree.

NearwayError
├── RequestError            the request is at fault; no other center is tried
│   ├── InvalidRequest      400  wrong field, shape, dtype, origin ...
│   ├── NotFound            404  unknown model, version or route
│   │   └── NotHere         404  the center asked has it no longer; another one may
│   ├── TooLarge            413  body, tensor or batch over its bound
│   ├── UnsupportedMedia    415  unknown content type
│   ├── Unsupported         501  known to the protocol, not offered here
│   └── Refused             4xx  a center's own refusal, passed on
├── CapacityError           no room or no time
│   ├── Overloaded          429  this client is to slow down: others are waiting
│   ├── NoCapacity          503  the service has no room now, for anybody or for this class
│   └── DeadlineExceeded    504  the budget is spent
├── CenterError             the center is at fault; another may be tried
│   ├── CenterDown          503  refused, lost or silent
│   ├── CenterFailed        500  answered with an error of its own
│   ├── CenterBusy          503  its queue is full; it is not ill
│   └── NoCenter            503  nobody is left to ask (not retriable)
├── ConfigError             a file, flag or plugin is wrong; found before serving
└── PluginError             a plugin raised or returned something unusable

Every error says what was found, what was expected and where to mend it.
"""

from __future__ import annotations

from typing import ClassVar


class NearwayError(Exception):
    """Root of the tree; ``str(error)`` is the whole message for a person."""

    http_status: int = 500
    another_center_may_help: ClassVar[bool] = False

    @property
    def reason(self) -> str:
        """A word a machine can count: the class name in snake case."""
        name = type(self).__name__
        return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


class RequestError(NearwayError):
    """The request itself is at fault. ``param``: the field; ``code``: a word for a machine."""

    http_status = 400
    param: str | None = None
    code: str | None = None


class InvalidRequest(RequestError):
    """A field of the request is wrong; the message names it."""


class NotFound(RequestError):
    """The model, version or route does not exist here."""

    http_status = 404


class NotHere(NotFound):
    """The center has the model no longer, or not yet: it was unloaded while the request was on
    its way. Another center may have it.
    """

    another_center_may_help = True


class TooLarge(RequestError):
    """Something is over its configured bound."""

    http_status = 413


class UnsupportedMedia(RequestError):
    """The content type is not one this door reads."""

    http_status = 415


class Unsupported(RequestError):
    """The protocol knows it, this server does not offer it."""

    http_status = 501


class Refused(RequestError):
    """A center refused the request with a status of its own: the client hears both."""

    def __init__(self, message: str, http_status: int) -> None:
        super().__init__(message)
        self.http_status = http_status


class CapacityError(NearwayError):
    """No room or no time."""

    http_status = 503


class Shed(CapacityError):
    """Refused before any work, for want of room. ``word``: why, for a machine.

    The client may ask again after ``retry_after_s``.
    """

    def __init__(self, message: str, retry_after_s: float = 1.0, word: str = "") -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self._word = word

    @property
    def reason(self) -> str:
        """The word given, else the class's own."""
        return self._word or super().reason


class Overloaded(Shed):
    """This client, or who it stands for, asks for more than its part; others are served."""

    http_status = 429


class NoCapacity(Shed):
    """The service has no room now."""

    http_status = 503


class DeadlineExceeded(CapacityError):
    """The request's budget is spent."""

    http_status = 504


class CenterError(NearwayError):
    """The center is at fault."""

    http_status = 503
    another_center_may_help = True


class CenterDown(CenterError):
    """The center refused, went away or kept silent."""


class CenterFailed(CenterError):
    """The center answered with an error of its own."""

    http_status = 500


class CenterBusy(CenterError):
    """The center's queue is full: another may have room, and this one is not ill."""


class NoCenter(CenterError):
    """No center is eligible, or all eligible ones were tried."""

    another_center_may_help = False


class ConfigError(NearwayError):
    """A config, fleet, model or plugin is wrong; found before serving starts."""


class PluginError(NearwayError):
    """A plugin raised, or returned something that cannot be used."""
