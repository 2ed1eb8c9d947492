"""Installing: nothing without leave, nothing twice, and a reason when it fails."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.peers import installing
from bench.peers.installing import Cache, Unavailable, printed_by


def test_without_leave_nothing_is_installed(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"--no-install forbids: pip install peer==1"):
        Cache(tmp_path, may_install=False).python("peer", ["peer==1"])
    assert list(tmp_path.iterdir()) == []


def test_what_is_installed_is_found_again(tmp_path: Path) -> None:
    home = tmp_path / "envs" / "peer"
    home.mkdir(parents=True)
    (home / "requirements.installed").write_text("peer==1\nother==2")
    cache = Cache(tmp_path, may_install=False)
    assert cache.python("peer", ["peer==1", "other==2"]) == home / "bin"
    with pytest.raises(Unavailable, match="pip install peer==2"):
        cache.python("peer", ["peer==2"])


def test_only_root_gets_debians_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installing.os, "geteuid", lambda: 1000)
    with pytest.raises(Unavailable, match="as root: apt-get install no-such-package"):
        Cache(tmp_path).debian("no-such-package", "no-such-program")


def test_a_program_that_is_there_needs_no_package(tmp_path: Path) -> None:
    assert Cache(tmp_path, may_install=False).debian("no-such-package", "sh").name == "sh"


def test_a_failing_command_gives_its_reason() -> None:
    with pytest.raises(Unavailable, match="error: no such distribution"):
        printed_by(
            *(sys.executable, "-c"),
            "import sys; sys.exit('fetching\\nerror: no such distribution\\nnotice: upgrade')",
        )


def test_a_missing_program_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="nowhere"):
        printed_by(tmp_path / "nowhere")


def test_the_first_line_is_told() -> None:
    assert printed_by(sys.executable, "-c", "print('\\n  peer 1.2\\nmore')") == "peer 1.2"
