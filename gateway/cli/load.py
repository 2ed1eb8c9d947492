"""``nearway load``: latency against load, for any Open Inference Protocol endpoint."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Annotated

import typer
from gateway_models import repository
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from gateway.api import InvalidRequest
from gateway.cli.options import print_json
from gateway.measure.knee import Knee, run_knee
from gateway.measure.load import LoadPlan, RateProgress, load_result, run_load
from gateway.measure.load_report import load_page, load_table
from gateway.wan import load_cities

BY_POPULATION = "by-population"


def command(
    url: Annotated[str, typer.Option(help="The endpoint, ours or any other.")],
    model: Annotated[str, typer.Option(help="The model to ask.")],
    body: Annotated[
        Path | None, typer.Option(help="A JSON request; default: the model's example, or made up.")
    ] = None,
    rate: Annotated[str, typer.Option(help="Requests per second, several by commas.")] = "100",
    find_knee: Annotated[
        bool, typer.Option("--find-knee", help="Find the highest rate that meets the objective.")
    ] = False,
    target_ms: Annotated[float, typer.Option(help="An answer within this is in time.")] = 10.0,
    objective: Annotated[float, typer.Option(help="The share that must be in time.")] = 0.99,
    origins: Annotated[
        str | None,
        typer.Option(help="by-population (207 cities), or a CSV file of origin,weight."),
    ] = None,
    duration: Annotated[float, typer.Option(help="Seconds a rate, after the warm-up.")] = 30.0,
    warmup: Annotated[float, typer.Option(help="Seconds dropped at the start of a rate.")] = 2.0,
    seed: Annotated[int, typer.Option(help="Fixes arrivals and origins.")] = 1,
    html: Annotated[Path | None, typer.Option(help="Write the report as one HTML file.")] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures as JSON; - prints them.")
    ] = None,
) -> None:
    """Open loop: every request's instant is fixed beforehand, latency counts from it."""
    plan = LoadPlan(
        url=url,
        model=model,
        body=_read(body),
        models_dir=repository(),
        rates=_rates(rate),
        duration_s=duration,
        warmup_s=warmup,
        origins=_weights(origins),
        seed=seed,
        target_ms=target_ms,
    )
    knee: Knee | None = None
    with _bar() as bar:
        tell = _teller(bar, bar.add_task("load", total=1.0))
        if find_knee:
            knee, steps = run_knee(
                plan, objective=objective, start_rate=plan.rates[0], step_s=duration, progress=tell
            )
            result = load_result(plan, steps)
        else:
            result = run_load(plan, progress=tell)
    document = result.as_json() | ({"knee": knee.as_json()} if knee else {})
    printed = str(json_file) == "-"
    if json_file is not None and not printed:
        json_file.write_text(json.dumps(document, indent=1))
    if html is not None:
        html.write_text(load_page(result, knee=knee))
    if printed:
        print_json(document)
    else:
        Console().print(load_table(result, knee=knee))


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )


def _teller(bar: Progress, task: TaskID) -> RateProgress:
    def tell(rate: float, done: int, planned: int, elapsed_s: float) -> None:
        bar.update(
            task,
            description=f"{rate:g}/s, {elapsed_s:.0f} s",
            completed=done,
            total=max(1, planned),
        )

    return tell


def _rates(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InvalidRequest(f"--rate: found {text!r}; expected numbers, such as 100,200") from None


def _read(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidRequest(f"--body: {path}: {error.strerror}") from None


def _weights(origins: str | None) -> dict[str, float]:
    """Origin -> weight; none: no origin is told."""
    if origins is None:
        return {}
    if origins == BY_POPULATION:
        return {city.name: float(city.population) for city in load_cities()}
    try:
        with Path(origins).open(newline="") as file:
            rows = [row for row in csv.reader(file) if row and not row[0].startswith("#")]
        return {row[0].strip(): float(row[1]) if row[1:] else 1.0 for row in rows}
    except (OSError, ValueError, UnicodeDecodeError) as error:
        raise InvalidRequest(
            f"--origins: {origins}: {error}; expected {BY_POPULATION} or a CSV of origin,weight"
        ) from None
