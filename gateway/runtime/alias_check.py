"""Does every alias stand for something? Asked at the start, at a reload and by ``config check``."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from gateway.api import Center, ConfigError
from gateway.engine.repository import VERSION
from gateway.serving.aliases import parted


def check_aliases(
    aliases: Mapping[str, str], centers: Sequence[Center], models: Sequence[str]
) -> None:
    """``models``: those of the repositories. Raises ConfigError.

    What a center behind a URL serves is not known here: a name that one declares is believed.
    """
    for alias, target in aliases.items():
        where = f"models.aliases: {alias!r} = {target!r}"
        name, version = parted(target)
        if version and VERSION.fullmatch(version) is None:
            raise ConfigError(f"{where}: {version!r} is no version; expected MODEL or MODEL/2")
        if alias in models:
            raise ConfigError(f"{where}: there is a model {alias!r}; expected another name")
        if name in aliases:
            raise ConfigError(f"{where}: {name!r} is an alias; expected the model it stands for")
        declaring = [c for c in centers if any(fnmatchcase(name, p) for p in c.models)]
        if name in models and declaring:
            continue
        if not any(center.url is not None for center in declaring):
            close = difflib.get_close_matches(name, models, n=1)
            hint = f"did you mean {close[0]!r}?" if close else "nearway models lists them"
            what = "no center serves that model" if name in models else "there is no such model"
            raise ConfigError(f"{where}: {what}; {hint}")
