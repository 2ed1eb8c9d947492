"""``nearway explain``: the table behind a decision, read aloud."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from gateway.api import InvalidRequest, Query
from gateway.cli.bars import legend, stacked
from gateway.cli.options import (
    AsJson,
    ConfigFile,
    FleetFile,
    ModelsDir,
    Sites,
    effective,
    print_json,
)
from gateway.config import Settings
from gateway.runtime.deciding import deciding_from_priors
from gateway.serving.decisions import explanation_json

ANSWER_WITHIN_S = 5.0
BAR_CELLS_MIN, BAR_CELLS_MAX = 10, 40


def command(
    origin: Annotated[
        str | None,
        typer.Option(help="City, region id or lat,lon (default: the config's origins.default)."),
    ] = None,
    model: Annotated[str, typer.Option(help="The model asked for.")] = "blast-furnace",
    tenant: Annotated[str, typer.Option(help="On whose behalf.")] = "anonymous",
    admin_url: Annotated[
        str | None,
        typer.Option(help="Ask this running gateway (default: the config's admin port)."),
    ] = None,
    from_priors: Annotated[
        bool, typer.Option("--from-priors", help="Do not ask a running gateway.")
    ] = False,
    config: ConfigFile = None,
    fleet: FleetFile = None,
    models: ModelsDir = None,
    sites: Sites = None,
    top: Annotated[int, typer.Option(help="How many centers to show.")] = 12,
    as_json: AsJson = False,
) -> None:
    """Which center would answer a request, what each would cost, and who is refused why."""
    settings = effective(config, fleet=fleet, models=models, sites=sites).settings
    origin = origin or settings.origins.default
    live = None
    if not from_priors and fleet is None and not models and sites is None:
        live = _ask(admin_url or _admin_url(settings), origin, model, tenant, admin_url is not None)
    document = live if live is not None else _from_priors(settings, origin, model, tenant)
    if as_json:
        print_json(document)
        return
    _show(document, top)


def _admin_url(settings: Settings) -> str:
    return f"http://{settings.server.admin_host}:{settings.server.admin_port}"


def _ask(
    admin_url: str, origin: str, model: str, tenant: str, insist: bool
) -> dict[str, Any] | None:
    """The running gateway's own explanation; None when nobody listens there."""
    query = urllib.parse.urlencode({"origin": origin, "model": model, "tenant": tenant})
    if not admin_url.startswith(("http://", "https://")):
        raise InvalidRequest(f"--admin-url: found {admin_url!r}; expected http://HOST:PORT")
    try:
        with urllib.request.urlopen(  # noqa: S310 - the scheme is checked above
            f"{admin_url}/explain?{query}", timeout=ANSWER_WITHIN_S
        ) as answer:
            document: dict[str, Any] = json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            raise InvalidRequest(json.load(error)["error"]) from None
    except (OSError, ValueError) as error:
        if insist:
            raise InvalidRequest(f"--admin-url: {admin_url} does not answer: {error}") from None
        return None
    document["source"] = f"the gateway at {admin_url}"
    return document


def _from_priors(settings: Settings, origin: str, model: str, tenant: str) -> dict[str, Any]:
    deciding = deciding_from_priors(settings)
    vantage = deciding.find_vantage(origin)
    explanation = deciding.router.explain(Query(vantage, model, tenant), 0.0)
    document = explanation_json(
        explanation,
        deciding.centers,
        [place.name for place in deciding.gazetteer.places],
    )
    document["source"] = "priors only: no gateway was asked"
    return document


def _show(document: dict[str, Any], top: int) -> None:
    console = Console(highlight=False, soft_wrap=True)
    rows, query = document["rows"], document["query"]
    console.print(
        f"[bold]{query['model']}[/] from [bold]{query['vantage']}[/] "
        f"by policy {document['policy']} ({document['source']})"
    )
    shown = rows[:top]
    plain = _table(document, shown)
    room = console.width - Measurement.get(console, console.options, plain).maximum - 2
    bars = _bars(shown, min(room, BAR_CELLS_MAX)) if room >= BAR_CELLS_MIN else None
    console.print(plain if bars is None else _table(document, shown, bars))
    if bars is not None:
        console.print(legend({name: name for name in shown[0]["scorers_ms"]}))
    console.print(f"[bold]{document['aloud']}[/]")
    if len(rows) > top:
        console.print(f"… and {len(rows) - top} more (--top {len(rows)} shows all)")
    for line in measured_lines(document.get("recent", ())):
        console.print(line)
    _show_refused(console, document["refused"])
    for note in document.get("notes", ()):
        console.print(f"[yellow]note[/] {note}")


def _table(
    document: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    bars: Sequence[Text] | None = None,
) -> Table:
    table = Table(box=None, header_style="bold")
    for heading in ("", "center", "city", "core"):
        table.add_column(heading, no_wrap=heading == "center")  # cut short they look the same
    for scorer in rows[0]["scorers_ms"] if rows else ():
        table.add_column(f"{scorer} ms", justify="right")
    table.add_column("sum ms", justify="right")
    for place, row in enumerate(rows):
        picked = row["center"] == document["pick"]
        table.add_row(
            "→" if picked else "",
            row["center"],
            row["city"],
            "core" if row["core"] else "",
            *(f"{ms:.2f}" for ms in row["scorers_ms"].values()),
            f"{row['total_ms']:.2f}",
            *(() if bars is None else (bars[place],)),
            style="bold green" if picked else "",
        )
    return table


def _bars(rows: Sequence[Mapping[str, Any]], width: int) -> list[Text] | None:
    """Each row's milliseconds as a bar, the longest ``width`` cells; None of nothing."""
    longest_ms = max((row["total_ms"] or 0.0 for row in rows), default=0.0)
    if longest_ms <= 0.0:
        return None
    return [
        stacked({name: ms or 0.0 for name, ms in row["scorers_ms"].items()}, width, longest_ms)
        for row in rows
    ]


def measured_lines(recent: Sequence[Mapping[str, Any]]) -> list[str]:
    """Of decisions like this one that were made: what was predicted and what was measured."""
    lines = []
    for one in recent:
        decision, came = one["decision"], one["measured"]
        when = f"{one['seconds_ago']:.0f} s ago {decision['center']}"
        told = f"{decision['predicted_ms']:.2f} predicted ({_sum_of(decision['parts_ms'])})"
        if "parts_ms" not in came:
            what = came.get("reason") or "a stream"
            lines.append(f"{when}: {told}, answered by {came['center'] or 'nobody'} ({what})")
            continue
        parts = _sum_of({p: ms for p, ms in came["parts_ms"].items() if p != "gateway"})
        took_ms = came["total_ms"] - came["parts_ms"]["gateway"]
        by = "" if "late_ms" in came else f" by {came['center']}"
        lines.append(f"{when}: {told}, {took_ms:.2f} measured{by} ({parts})")
    return lines


def _sum_of(parts_ms: Mapping[str, float | None]) -> str:
    return " + ".join(f"{ms or 0.0:.2f} {name}" for name, ms in parts_ms.items())


def _show_refused(console: Console, refused: list[dict[str, Any]]) -> None:
    by_reason: dict[str, list[str]] = {}
    for row in refused:
        by_reason.setdefault(", ".join(row["refused_by"]), []).append(row["center"])
    for reason, centers in by_reason.items():
        shown = ", ".join(centers[:6]) + (f" and {len(centers) - 6} more" if centers[6:] else "")
        console.print(f"[red]refused[/] by {reason}: {shown}")
