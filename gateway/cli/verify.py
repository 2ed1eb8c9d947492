"""``nearway verify``: is it a 10 ms service? A verdict, with an interval and a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
import uvloop
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from gateway.cli.options import print_json
from gateway.measure.verify import VerifyResult, exit_code, verify
from gateway.measure.verify_plan import VerifyPlan
from gateway.measure.verify_report import print_report, write_html, write_json

DEFAULTS = VerifyPlan()


def command(
    url: Annotated[str, typer.Option(help="Verify this gateway instead of starting one.")] = "",
    admin_url: Annotated[str, typer.Option(help="Its admin door, for what it says itself.")] = "",
    sites: Annotated[
        Literal["all", "core"], typer.Option(help="All centers, or the three core sites only.")
    ] = DEFAULTS.sites,
    fleet: Annotated[Path | None, typer.Option(help="A fleet of your own.")] = None,
    models: Annotated[list[Path] | None, typer.Option(help="A model repository.")] = None,
    model: Annotated[str, typer.Option(help="The model asked for.")] = DEFAULTS.model,
    policy: Annotated[str, typer.Option(help="The policy in force.")] = DEFAULTS.policy,
    profile: Annotated[
        Literal["premium", "cloud", "internet"], typer.Option(help="How good the paths are.")
    ] = "cloud",
    border_ms: Annotated[float, typer.Option(help="Extra at the border.")] = DEFAULTS.border_ms,
    last_mile_ms: Annotated[
        float, typer.Option(help="Extra of every path: the user's own access.")
    ] = DEFAULTS.last_mile_ms,
    jitter: Annotated[bool, typer.Option(help="Per-request jitter.")] = DEFAULTS.jitter,
    seed: Annotated[int, typer.Option(help="Fixes paths, arrivals, origins.")] = DEFAULTS.seed,
    reading: Annotated[
        Literal["round-trip", "one-way"],
        typer.Option(help="Which network time the target holds: there and back, or there."),
    ] = DEFAULTS.reading,
    target_ms: Annotated[float, typer.Option(help="The claim.")] = DEFAULTS.target_ms,
    service_budget_ms: Annotated[
        float, typer.Option(help="What a city's network must leave of the target to be inside.")
    ] = DEFAULTS.service_budget_ms,
    objective: Annotated[
        float, typer.Option(help="The share of requests that must be within the target.")
    ] = DEFAULTS.objective,
    rate: Annotated[float, typer.Option(help="Requests per second.")] = DEFAULTS.rate,
    duration: Annotated[float, typer.Option(help="Seconds measured.")] = DEFAULTS.duration_s,
    warmup: Annotated[float, typer.Option(help="Seconds dropped first.")] = DEFAULTS.warmup_s,
    wire: Annotated[
        Literal["binary", "json"],
        typer.Option(help="How tensors are sent: binary, as tritonclient does, or JSON."),
    ] = DEFAULTS.wire,
    others_share: Annotated[
        float, typer.Option(help="Share of requests from cities outside the service area.")
    ] = DEFAULTS.others_share,
    gateway_delay_ms: Annotated[
        float, typer.Option(help="Plant damage in the gateway, to see the verdict fail.")
    ] = DEFAULTS.gateway_delay_ms,
    chaos: Annotated[
        Path | None, typer.Option(help="A plan of faults that happens meanwhile.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the result as JSON; - prints it.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write the report as one HTML file.")] = None,
) -> None:
    """Start a gateway, drive it open loop, and judge. Exit 0 pass, 1 fail, 2 cannot tell."""
    plan = VerifyPlan(
        url=url,
        admin_url=admin_url,
        sites=sites,
        fleet=fleet,
        models=tuple(models or ()),
        model=model,
        policy=policy,
        profile=profile,
        border_ms=border_ms,
        last_mile_ms=last_mile_ms,
        jitter=jitter,
        seed=seed,
        reading=reading,
        target_ms=target_ms,
        service_budget_ms=service_budget_ms,
        objective=objective,
        rate=rate,
        duration_s=duration,
        warmup_s=warmup,
        wire=wire,
        others_share=others_share,
        gateway_delay_ms=gateway_delay_ms,
        chaos=chaos,
    )
    result = _run(plan)
    if html is not None:
        write_html(result, html)
    if json_file is not None and str(json_file) != "-":
        write_json(result, json_file)
    if str(json_file) == "-":
        print_json(result.as_json())
    else:
        print_report(result, Console(highlight=False))
    raise typer.Exit(exit_code(result))


def _run(plan: VerifyPlan) -> VerifyResult:
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        task = bar.add_task("verify", total=1.0)
        return uvloop.run(
            verify(plan, lambda words, done: bar.update(task, description=words, completed=done))
        )
