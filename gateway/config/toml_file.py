"""Reading a TOML file that may be anything: missing, huge, a device, nested without end."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from gateway.api import ConfigError

TOML_BYTES_MAX = 16 * 1024 * 1024
"""A fleet of 10 000 centers has 2 MB."""


def read_toml(path: Path, missing: str) -> dict[str, Any]:
    """The document. ``missing`` tells what to do when there is no file. Raises ConfigError."""
    try:
        if path.exists() and not path.is_file():
            raise ConfigError(f"{path}: is no plain file; expected a TOML file")
        with path.open("rb") as file:
            found = file.read(TOML_BYTES_MAX + 1)
        text = found.decode()
    except FileNotFoundError:
        raise ConfigError(f"{path}: {missing}") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read as UTF-8 text: {error}") from None
    if len(found) > TOML_BYTES_MAX:
        raise ConfigError(f"{path}: has more than {TOML_BYTES_MAX} bytes, the most that is read")
    return parse_toml(text, str(path))


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """``text`` as a document. Raises ConfigError naming ``where``."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ConfigError(f"{where}: is nested too deep; expected tables and lists") from None
    except ValueError as error:  # a TOMLDecodeError, or a number of thousands of digits
        raise ConfigError(f"{where}: not valid TOML: {error}") from None
