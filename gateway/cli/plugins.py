"""``nearway plugins``: every plugin found, and the policies made of them."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from gateway.cli.options import AsJson, ConfigFile, effective, print_json
from gateway.loading import Registry


def command(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """List plugins by kind with what they vary by, read and take as parameters."""
    settings = effective(config).settings
    rows = Registry.discover().rows()
    if as_json:
        print_json(rows)
        return
    table = Table(box=None, header_style="bold")
    for heading in ("kind", "name", "varies by", "reads", "parameters", "from", "what it does"):
        table.add_column(heading)
    for row in rows:
        table.add_row(
            row["kind"],
            f"[bold]{row['name']}[/]",
            row["varies_by"],
            ", ".join(row["reads"]),
            ", ".join(f"{k} = {v}" for k, v in row["parameters"].items()),
            row["distribution"],
            row["doc"],
        )
    console = Console()
    console.print(table)
    console.print()
    for name, policy in settings.policies.items():
        mark = "[green]●[/]" if name == settings.routing.policy else " "
        console.print(
            f"{mark} policy [bold]{name}[/]: "
            f"{' '.join(map(str, policy.filters))} → {' + '.join(map(str, policy.scorers))} "
            f"→ {policy.picker}",
            highlight=False,
        )
