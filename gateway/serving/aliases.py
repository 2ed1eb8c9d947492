"""Names more for models: an alias stands for a model, or for one version of it, at every door.

What is asked for by an alias is asked for by the model's own name from the door on: routing,
metrics, logs and the answer have that name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.api import InvalidRequest
from gateway.centers.port import ModelState

READY = "READY"


def parted(target: str) -> tuple[str, str]:
    """The model and the version that an alias stands for; "" for any.

    Only a number is a version: names of models elsewhere have a ``/`` in them.
    """
    name, _, version = target.rpartition("/")
    return (name, version) if name and version.isascii() and version.isdigit() else (target, "")


def resolved(aliases: Mapping[str, str], model: str, version: str) -> tuple[str, str]:
    """The model and version that are meant; those given, where ``model`` is no alias.

    Raises InvalidRequest when the alias stands for another version than the one asked for.
    """
    target = aliases.get(model)
    if target is None:
        return model, version
    name, only = parted(target)
    if only and version and only != version:
        raise InvalidRequest(
            f"model {model!r} stands for version {only} of {name!r}, and version {version[:20]!r} "
            f"was asked for; ask {name!r} for it, or leave the version out"
        )
    return name, only or version


def alias_lines(aliases: Mapping[str, str], lines: Sequence[ModelState]) -> list[ModelState]:
    """A line of the index for each alias whose model is in it, as that model's line has it.

    The line of the version it stands for; else of the highest number that is READY, else of the
    highest.
    """
    found: list[ModelState] = []
    for alias, target in aliases.items():
        name, only = parted(target)
        own = [line for line in lines if line.name == name and only in ("", line.version)]
        if own:
            best = max(own, key=lambda line: (line.state == READY, _number(line.version)))
            reason = f"alias of {target}" + (f": {best.reason}" if best.reason else "")
            found.append(ModelState(alias, best.version, best.state, reason))
    return found


def _number(version: str) -> int:
    return int(version) if version.isdigit() else 0
