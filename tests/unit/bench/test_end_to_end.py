"""The whole bench on one scenario: two policies, two seeds, resumed, and its report."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.policies.run import main

SMALL = (
    *("--quick", "--no-tuning", "--scenario", "s0", "--policy", "two_choices_least_request"),
    *("--seeds", "2", "--requests", "2000", "--jobs", "2"),
)


@pytest.mark.timeout(240)
def test_a_small_run_writes_its_report_and_goes_on_where_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*SMALL, "--out", str(tmp_path)]) == 0
    cells = sorted((tmp_path / "cells").iterdir())
    stamps = [cell.stat().st_mtime_ns for cell in cells]
    page = (tmp_path / "report.html").read_text()
    text = (tmp_path / "results.md").read_text()
    assert "two_choices_least_request" in text
    assert "| S0 at .8 |" in text
    assert page.count("<svg") >= 3
    assert "<script" not in page
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert main([*SMALL, "--out", str(tmp_path)]) == 0
    again = sorted((tmp_path / "cells").iterdir())
    assert [cell.stat().st_mtime_ns for cell in again] == stamps
    assert f"{len(cells)} of them from earlier runs" in (tmp_path / "results.md").read_text()


def test_nothing_to_measure_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--quick", "--scenario", "nothing", "--out", str(tmp_path)]) == 3
    assert "Nothing was measured" in capsys.readouterr().out
