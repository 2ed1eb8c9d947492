"""``nearway simulate --replay``: a decision log, re-decided by one policy or several."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from gateway.cli.options import print_json
from gateway.config import Policy
from gateway.simulation.replay import Estimate, ReplayReport, replay

WIDTH_MIN = 110


def replayed(log: Path, policies: Mapping[str, Policy], *, as_json: bool) -> None:
    """Re-decide ``log`` with each policy and print what it found."""
    reports = [replay(log, name, policy) for name, policy in policies.items()]
    if as_json:
        print_json({"replays": [report.as_json() for report in reports]})
        return
    console = Console(highlight=False, width=max(WIDTH_MIN, Console().width))
    console.print(_table(reports))
    for report in reports:
        console.print(f"{report.sentence()}.", soft_wrap=True)
    for note in dict.fromkeys(note for report in reports for note in report.notes):
        console.print(f"[yellow]{note}[/]", soft_wrap=True)


def _table(reports: list[ReplayReport]) -> Table:
    table = Table(box=None, header_style="bold")
    table.add_column("policy", no_wrap=True)
    for heading in ("compared", "agreement", "predicted regret, ms", "forbidden", "unknown"):
        table.add_column(heading, justify="right", no_wrap=True)
    for report in reports:
        table.add_row(
            report.policy,
            f"{report.compared}",
            _shown(report.agreement, ".1%"),
            _shown(report.predicted_regret_ms, "+.3f"),
            f"{report.forbidden}",
            f"{report.unknown}",
        )
    return table


def _shown(estimate: Estimate, form: str) -> str:
    value, low, high = estimate.value, estimate.low, estimate.high
    if value is None:
        return "–"
    return f"{value:{form}} ({low:{form}} to {high:{form}})"
