"""Walk a page of the docs as a newcomer does: each command is run, what it prints is compared.

    python tests/system/walk.py docs/getting_started.md            # in a fresh clone
    python tests/system/walk.py docs/getting_started.md --bin DIR  # with what is installed in DIR

A ``console`` block holds lines ``$ command``, each followed by what it prints. All run in one
bash, in the page's order. ``…`` in the expected output stands for anything, runs of blanks count
as one. A block of another language after a line that ends in "`path`:" is written to that file.
A command that fails, or prints something else, ends the walk with exit code 1 and its line in
the page.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"(?:`([^`\s]+)`:\n\n)?^```(\w+)\n(.*?)^```", re.M | re.S)
INSTALLS = (
    "python3 -m venv .venv",
    ". .venv/bin/activate",
    "python -m pip install .",
)
"""What is left out when something is installed already."""
PUBLIC, ADMIN = "127.0.0.1:8080", "127.0.0.1:8081"
DONE = "-- done"
END_S = 15.0


class Stumble(Exception):
    """Where the page and what happens part."""


@dataclass(frozen=True)
class Command:
    """A line to run and what the page says it prints."""

    line: int
    text: str
    prints: str


@dataclass(frozen=True)
class File:
    """A file to write."""

    line: int
    path: str
    text: str


def steps(page: str) -> list[Command | File]:
    """What the page tells to do, in order."""
    found: list[Command | File] = []
    for block in FENCE.finditer(page):
        path, language, text = block.groups()
        line = page.count("\n", 0, block.start(3)) + 1
        if language == "console":
            found += commands(text, line)
        elif path:
            found.append(File(line, path, text))
    return found


def commands(text: str, line: int) -> Iterator[Command]:
    """Those of one block; ``line`` is that of its first line in the page."""
    parts = re.split(r"^\$ ", text, flags=re.M)
    if parts[0]:
        raise Stumble(f"line {line}: a console block begins with '$ '")
    for part in parts[1:]:
        command, _, prints = part.partition("\n")
        yield Command(line, command, prints)
        line += part.count("\n")


def agrees(expected: str, found: str) -> bool:
    """Whether what was printed is what the page says."""
    pattern = ".*?".join(map(re.escape, _plain(expected).split("…")))
    return re.fullmatch(pattern, _plain(found), re.S) is not None


def _plain(text: str) -> str:
    lines = (re.sub(r"[ \t]+", " ", line).strip() for line in text.splitlines())
    return "\n".join(lines).strip()


class Bash:
    """One shell for the whole walk; what it starts ends with it."""

    def __init__(self, folder: Path, bin_folder: Path | None) -> None:
        keep = ("HOME", "LANG", "TMPDIR", "PIP_INDEX_URL", "PIP_CONFIG_FILE", "PIP_CACHE_DIR")
        path = f"{bin_folder}:/usr/local/bin:/usr/bin:/bin" if bin_folder else os.environ["PATH"]
        self._process = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            cwd=folder,
            env={
                **{name: os.environ[name] for name in keep if name in os.environ},
                "PATH": path,
                "COLUMNS": "100",
                "NO_COLOR": "1",
                "PYTHONUTF8": "1",
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )

    def run(self, command: str) -> tuple[str, int]:
        """What it printed, and its exit code."""
        stdin: Any = self._process.stdin
        stdout: Any = self._process.stdout
        stdin.write(f"{command}\nprintf '\\n{DONE} %s\\n' $?\n")
        stdin.flush()
        told: list[str] = []
        for line in stdout:
            if line.startswith(DONE):
                return "".join(told)[:-1], int(line.split()[-1])
            told.append(line)
        raise Stumble(f"{command}: the shell ended; it had printed {''.join(told)!r}")

    def end(self) -> None:
        """Stop it and all it started."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            self._signal(number)
            self._process.kill()
            self._process.wait(5)
            until_s = time.monotonic() + END_S
            while self._signal(0) and time.monotonic() < until_s:
                time.sleep(0.02)

    def _signal(self, number: int) -> bool:
        """To all of its process group; whether anybody is left."""
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return False
        return True


class Doors:
    """The page's two addresses, and those of this walk."""

    def __init__(self, *, elsewhere: bool) -> None:
        self._ours = _free_addresses() if elsewhere else (PUBLIC, ADMIN)

    def there(self, command: str) -> str:
        """The command with the doors of this walk."""
        public, admin = self._ours
        if self._ours == (PUBLIC, ADMIN):
            return command
        ports = f"--port {public.split(':')[1]} --admin-port {admin.split(':')[1]}"
        command = command.replace("nearway serve", f"nearway serve {ports}")
        for asks in ("nearway explain", "nearway top"):
            command = command.replace(asks, f"{asks} --admin-url http://{admin}")
        return command.replace(PUBLIC, public).replace(ADMIN, admin)

    def back(self, printed: str) -> str:
        """What was printed, with the doors of the page."""
        return printed.replace(self._ours[0], PUBLIC).replace(self._ours[1], ADMIN)


def _free_addresses() -> tuple[str, str]:
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as two,
    ):
        return f"127.0.0.1:{one.getsockname()[1]}", f"127.0.0.1:{two.getsockname()[1]}"


def walk(page: Path, folder: Path, bin_folder: Path | None, doors: Doors) -> None:
    """All steps of the page, in ``folder``. Raises Stumble at the first that differs."""
    bash = Bash(folder, bin_folder)
    try:
        for step in steps(page.read_text(encoding="utf-8")):
            if isinstance(step, File):
                here, _ = bash.run("pwd")
                path = Path(here.strip()) / step.path
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(step.text, encoding="utf-8")
                print(f"      write {step.path}", flush=True)
            elif bin_folder is None or step.text not in INSTALLS:
                _take(step, bash, doors, page.name)
    finally:
        bash.end()


def _take(step: Command, bash: Bash, doors: Doors, page: str) -> None:
    began_s = time.perf_counter()
    printed, code = bash.run(doors.there(step.text))
    printed = doors.back(printed)
    where = f"{page}, line {step.line}: $ {step.text}"
    if code:
        raise Stumble(f"{where}\nended with exit code {code}:\n{printed}")
    if not agrees(step.prints, printed):
        raise Stumble(f"{where}\nprinted:\n{printed}\nthe page says:\n{step.prints}")
    print(f"{time.perf_counter() - began_s:5.1f} $ {step.text}", flush=True)


def main() -> int:
    """Arguments in, exit code out."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("page", type=Path)
    parser.add_argument(
        "--bin", type=Path, help="use what is installed here, skip the installation"
    )
    parser.add_argument(
        "--other-ports", action="store_true", help="not 8080 and 8081 but free ones"
    )
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="newcomer-"))
    try:
        page, place = asked.page.resolve(), folder
        if asked.bin is None:
            place = folder / "nearway"
            subprocess.run(["git", "clone", "--quiet", str(ROOT), str(place)], check=True)
            page = place / page.relative_to(ROOT)
        walk(page, place, asked.bin and asked.bin.resolve(), Doors(elsewhere=asked.other_ports))
    except Stumble as stumble:
        print(f"stumbled: {stumble}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
