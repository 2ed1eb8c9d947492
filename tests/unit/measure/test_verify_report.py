"""The terminal's summary and the files: the answer first, figures that agree with the result."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from gateway.api import ConfigError
from gateway.measure.accountability import Accountability, Figures
from gateway.measure.verify import VerifyResult
from gateway.measure.verify_page import verify_page
from gateway.measure.verify_report import print_report, write_html, write_json

MakeResult = Callable[..., VerifyResult]


def printed(result: VerifyResult, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    print_report(result, console)
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_the_ruling_is_the_first_line(make_result: MakeResult) -> None:
    assert "PASS" in printed(make_result()).splitlines()[0]
    assert "FAIL" in printed(make_result(gateway_ms=2.2)).splitlines()[0]
    assert "CANNOT TELL" in printed(make_result(timer_ms=0.8)).splitlines()[0]


def test_the_whole_sentence_stands_in_the_frame(make_result: MakeResult) -> None:
    result = make_result()
    said = " ".join(printed(result).replace("│", " ").split())
    assert result.verdict.sentence.partition(": ")[2] in said


def test_the_figures_are_the_results(make_result: MakeResult) -> None:
    result = make_result()
    said = printed(result)
    p99 = next(q for q in result.verdict.quantiles if q.q == 0.99)
    assert f"{p99.ms.value:.2f}" in said
    for words in ("one way", "no service time", "over 100 seeds", "Beijing", "out: path"):
        assert words in said
    assert f"{result.verdict.requests} requests" in said
    assert "errors: 3 timeout" in said
    assert "Repeat: nearway verify --sites core --rate 100" in said


def test_a_busy_machine_is_said_where_it_was_measured(make_result: MakeResult) -> None:
    rows = printed(make_result(timer_ms=0.8)).splitlines()
    row = next(row for row in rows if row.strip().startswith("a bare timer's p99"))
    assert row.split()[-4:] == ["0.80", "0.50", "too", "busy"]


def test_nothing_is_cut_off_in_eighty_columns(make_result: MakeResult) -> None:
    said = printed(make_result(gateway_ms=2.2), width=80)
    assert "…" not in said
    assert max(len(line) for line in said.splitlines()) <= 80


def test_a_plugin_that_was_put_out_is_reported(make_result: MakeResult) -> None:
    assert "scorer network: 3 overruns" in printed(
        make_result(plugins=("scorer network: 3 overruns",))
    )


def test_what_predictions_were_worth_is_said_once(make_result: MakeResult) -> None:
    figures = Figures("all", 900, 0.4, 0.7, 0.91)
    told = Accountability(figures, (figures,), (figures,))
    result = replace(make_result(), prediction=told)
    assert told.sentence in " ".join(printed(result).split())
    assert "prediction" not in printed(make_result())
    assert result.as_json()["prediction"]["overall"]["covered_share"] == 0.91
    page = verify_page(result)
    assert "What the predictions were worth" in page
    assert "91.0%" in page


def test_the_files_are_written_into_new_folders(make_result: MakeResult, tmp_path: Path) -> None:
    result = make_result()
    write_json(result, tmp_path / "a" / "verdict.json")
    write_html(result, tmp_path / "b" / "verdict.html")
    told = json.loads((tmp_path / "a" / "verdict.json").read_text(encoding="utf-8"))
    assert told["verdict"]["ruling"] == "pass"
    assert len(told["verdict"]["cities"]) == 142
    assert (tmp_path / "b" / "verdict.html").read_text(encoding="utf-8").startswith("<!doctype")


def test_a_file_that_cannot_be_written_names_its_flag(
    make_result: MakeResult, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"--json .* cannot be written"):
        write_json(make_result(), tmp_path)
