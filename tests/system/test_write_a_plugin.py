"""docs/write_a_plugin.md as a stranger follows it: every block, in order, outside the checkout.

Its only installation goes into a folder of the test's own, not into the environment.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from gateway_models import repository

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "write_a_plugin.md").read_text()
BLOCKS = re.findall(r"(?:`(\S+)`:\n\n)?^```(bash|python)\n(.*?)^```", TEXT, re.M | re.S)
INSTALL = "python -m pip install --editable "
OFFLINE = (
    "python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation "
    "--no-warn-script-location --target "
)


@dataclass
class Stranger:
    """A folder to work in, and where what is installed goes."""

    folder: Path

    @property
    def site(self) -> Path:
        return self.folder / "site"

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(self.site),
            "NO_COLOR": "1",
            "COLUMNS": "160",
        }

    def bash(self, text: str) -> str:
        here = text.replace(INSTALL, f"{OFFLINE}{self.site} ./")
        done = subprocess.run(
            ["bash", "-euc", here],
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, f"{text}{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr
        return done.stdout

    @contextmanager
    def serving(self, text: str) -> Iterator[tuple[str, str]]:
        """(url, admin url) of the gateway that the block starts, on free ports."""
        announce = self.folder / "announce.json"
        flags = ["--port", "0", "--admin-port", "0", "--announce", str(announce)]
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway.cli.main", *text.split()[1:], *flags],
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        try:
            until_s = time.monotonic() + 60
            while not announce.exists() and process.poll() is None:
                assert time.monotonic() < until_s
                time.sleep(0.05)
            assert process.poll() is None, process.stderr and process.stderr.read()
            said = json.loads(announce.read_text())
            yield said["url"], said["admin_url"]
        finally:
            process.terminate()
            process.communicate(timeout=20)


def answer(url: str, body: bytes | None = None) -> Any:
    request = urllib.request.Request(
        url, body, {"content-type": "application/json", "x-nearway-origin": "Shanghai"}
    )
    with urllib.request.urlopen(request, timeout=20) as found:
        return json.load(found)


@pytest.mark.timeout(300)
def test_from_nothing_to_serving(tmp_path: Path) -> None:
    stranger = Stranger(tmp_path)
    told: dict[str, str] = {}
    served = 0
    for path, language, text in BLOCKS:
        if language == "python":
            (tmp_path / path).write_text(text)
        elif text.startswith("nearway serve"):
            with stranger.serving(text) as (url, admin_url):
                body = (repository() / "blast-furnace" / "example.json").read_bytes()
                assert answer(f"{url}/v2/models/blast-furnace/infer", body)["outputs"]
                state = {row["name"]: row for row in answer(f"{admin_url}/state")["plugins"]}
                assert state["spare_slots"]["calls"] > 0
                assert state["spare_slots"]["errors"] == 0
                served += 1
        else:
            told[text] = stranger.bash(text)
    assert served == 1
    said = "\n".join(told.values())
    assert "✓ spare_slots keeps the contract" in said
    assert re.search(r"\d passed", said)
    assert len(re.findall(r"with / without +p99 +\d", said)) == 2
    assert "nearway-spare-slots 0.1.0" in said
    assert "spare_slots ms" in said


def test_the_doc_writes_files_that_new_has_made(tmp_path: Path) -> None:
    stranger = Stranger(tmp_path)
    stranger.bash(BLOCKS[0][2])
    written = [path for path, language, _ in BLOCKS if language == "python"]
    assert len(written) == 2
    assert all((tmp_path / path).is_file() for path in written)
