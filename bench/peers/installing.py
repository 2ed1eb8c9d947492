"""Where peers come from: Debian's packages, and environments of their own under a cache folder.

Nothing is installed into this project's environment. What cannot be had is not an error: the
peer is left out and the report says why.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

INSTALL_WAIT_S = 900.0
WORDS_MAX = 300


class Unavailable(Exception):
    """A peer that cannot be had here; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Cache:
    """A folder for environments; ``may_install`` False: only what is there already."""

    folder: Path
    may_install: bool = True

    def debian(self, package: str, program: str) -> Path:
        """The path of ``program``, installed with ``apt-get`` when missing and allowed to."""
        found = shutil.which(program, path=_search_path())
        if found is None:
            self._apt_get(package)
            found = shutil.which(program, path=_search_path())
        if found is None:
            raise Unavailable(f"apt-get install {package} left no program {program}")
        return Path(found)

    def python(self, name: str, requirements: Sequence[str]) -> Path:
        """The ``bin`` folder of a virtual environment that holds exactly ``requirements``.

        Made again when the requirements are others than those it was made for.
        """
        home = self.folder / "envs" / name
        wanted = "\n".join(requirements)
        installed = home / "requirements.installed"
        if installed.is_file() and installed.read_text() == wanted:
            return home / "bin"
        self._allowed(f"pip install {' '.join(requirements)}")
        shutil.rmtree(home, ignore_errors=True)
        _run([sys.executable, "-m", "venv", home])
        _run([home / "bin" / "python", "-m", "pip", "install", "--quiet", *requirements])
        installed.write_text(wanted)
        return home / "bin"

    def npm(self, name: str, packages: Sequence[str]) -> Path:
        """A folder whose ``node_modules`` holds ``packages``."""
        home = self.folder / "envs" / name
        wanted = "\n".join(packages)
        installed = home / "packages.installed"
        if installed.is_file() and installed.read_text() == wanted:
            return home
        if shutil.which("npm") is None:
            raise Unavailable("it needs npm, which is not installed")
        self._allowed(f"npm install {' '.join(packages)}")
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        _run(["npm", "install", "--no-audit", "--no-fund", *packages], folder=home)
        installed.write_text(wanted)
        return home

    def _apt_get(self, package: str) -> None:
        self._allowed(f"apt-get install {package}")
        if os.geteuid() != 0:
            raise Unavailable(f"not installed; as root: apt-get install {package}")
        if shutil.which("apt-get") is None:
            raise Unavailable(f"not installed, and there is no apt-get to install {package} with")
        # A package's own service would serve beside the peer that is measured.
        quiet = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        command = ["apt-get", "install", "--yes", "--no-install-recommends", package]
        try:
            _run(command, env=quiet)
        except Unavailable:
            _run(["apt-get", "update"])  # a new machine's lists are empty
            _run(command, env=quiet)

    def _allowed(self, command: str) -> None:
        if not self.may_install:
            raise Unavailable(f"not installed, and --no-install forbids: {command}")


def printed_by(*command: str | Path) -> str:
    """The first line a program prints about itself; raises Unavailable when it cannot run."""
    text = _run(command)
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def version_in(bin_folder: Path, distribution: str) -> str:
    """The version of a distribution that is installed in an environment."""
    code = f"import importlib.metadata as m; print(m.version({distribution!r}))"
    return printed_by(bin_folder / "python", "-c", code)


def _run(
    command: Sequence[str | Path], env: dict[str, str] | None = None, folder: Path | None = None
) -> str:
    words = [str(word) for word in command]
    said = " ".join([Path(words[0]).name, *words[1:]])
    try:
        ended = subprocess.run(
            words,
            cwd=folder,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=INSTALL_WAIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{said}: {error}") from None
    if ended.returncode != 0:
        raise Unavailable(f"{said}: {_reason(ended.stderr or ended.stdout)}")
    return ended.stdout + ended.stderr


def _reason(printed: str) -> str:
    """The line that begins with an error, else the last one."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()] or ["no reason given"]
    errors = [line for line in lines if line.lower().startswith(("error", "e:", "npm error"))]
    return (errors or lines)[-1][:WORDS_MAX]


def _search_path() -> str:
    """Debian keeps servers in ``/usr/sbin``, which is not on everybody's path."""
    return os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
