"""A model is a folder, and nothing in it leads out: every file of a model is found here.

The folder itself may be a link, set by whoever keeps the repository. What lies in it may come
from somebody else, so a path or a link that ends outside is refused, as is what is no plain file
or larger than such a file can be: a device never ends, a pipe never begins.
"""

from __future__ import annotations

from pathlib import Path

from gateway.api import ConfigError


def inside(folder: Path, name: str | Path) -> Path:
    """The plain file ``name`` of ``folder``. Raises ConfigError, or FileNotFoundError.

    What leads out is refused before anybody looks whether it is there.
    """
    path = folder / name
    try:
        home = folder.resolve(strict=True)
        real = path.resolve()
        leads_out = not real.is_relative_to(home)
        if not leads_out:
            path.resolve(strict=True)
    except FileNotFoundError:
        raise
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be found: {error}") from None
    if leads_out:
        raise ConfigError(
            f"{path}: leads out of the model's folder, to {real}; copy the file into the folder "
            "(the folder as a whole may be a link)"
        )
    if not real.is_file():
        raise ConfigError(f"{path}: is no plain file; expected one")
    return path


def read_inside(folder: Path, name: str | Path, bytes_max: int) -> bytes:
    """Its bytes. Raises ConfigError, also above ``bytes_max``, or FileNotFoundError."""
    path = inside(folder, name)
    try:
        with path.open("rb") as file:
            found = file.read(bytes_max + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    if len(found) > bytes_max:
        raise ConfigError(f"{path}: has more than {bytes_max} bytes, the most that is read of it")
    return found
