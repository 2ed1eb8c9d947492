"""Every block of the README runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)


def run(words: list[str], text: str = "") -> str:
    """Run from the checkout's root, with this interpreter's commands first on the path."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        words,
        input=text,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=100,
        check=False,
        env={**os.environ, "PATH": path, "PYTHONWARNINGS": "ignore"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(("language", "text"), BLOCKS, ids=range(len(BLOCKS)))
def test_block(language: str, text: str, served: Any, tmp_path: Path) -> None:
    here = text.replace("127.0.0.1:8080", served.address)
    here = here.replace("my-models", str(tmp_path / "my-models"))
    here = here.replace("nearway explain", f"nearway explain --admin-url {served.admin_url}")
    if text.startswith("make "):
        target = text.split()[1]
        assert f"nearway {target}" in run(["make", "--dry-run", "--always-make", target])
    elif language == "bash":
        told = run(["bash", "-euc", here])
        assert told
        assert '"error"' not in told
    elif language == "python":
        run([sys.executable, "-"], here)
