"""``nearway center``: serve centers of a fleet in a process of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from gateway.api import ConfigError
from gateway.cli.options import ConfigFile, FleetFile, ModelsDir, Sites, effective
from gateway.config.fleet_writing import fleet_toml
from gateway.runtime.center_plan import CenterListening, CenterPlan
from gateway.runtime.serve_center import serve_center
from gateway.runtime.worker import set_up_log
from gateway.serving import descriptors

NAMED_MAX = 6


def command(
    config: ConfigFile = None,
    fleet: FleetFile = None,
    models: ModelsDir = None,
    sites: Sites = None,
    region: Annotated[str, typer.Option(help="Serve the centers of this region.")] = "",
    zone: Annotated[str, typer.Option(help="Only the one of this zone.")] = "",
    every: Annotated[
        bool, typer.Option("--all", help="Serve every center of the fleet that has no URL.")
    ] = False,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(help="Port for frames and HTTP; 0 picks a free one.")
    ] = None,
    socket: Annotated[Path | None, typer.Option(help="Unix socket for frames and HTTP.")] = None,
    emulate_wan: Annotated[
        bool, typer.Option("--emulate-wan", help="Emulate the way from each vantage to here.")
    ] = False,
    beyond_loopback: Annotated[
        bool, typer.Option("--beyond-loopback", help="Emulate on an address that others reach.")
    ] = False,
    seed: Annotated[int | None, typer.Option(help="Fixes the emulated paths.")] = None,
    profile: Annotated[
        str | None, typer.Option(help="premium, cloud or internet: how good the paths are.")
    ] = None,
    write_fleet: Annotated[
        Path | None, typer.Option(help="Write a fleet file that points here, once ready.")
    ] = None,
    announce: Annotated[
        Path | None, typer.Option(help="Write {urls, http, pid} as JSON here once ready.")
    ] = None,
) -> None:
    """Serve centers of a fleet for gateways elsewhere: frames and HTTP on one port."""
    if every == bool(region):
        raise ConfigError("which centers? give either --region (and --zone), or --all")
    settings = effective(
        config,
        fleet=fleet,
        models=models,
        sites=sites,
        network__seed=seed,
        network__profile=profile,
    ).settings
    set_up_log(settings.telemetry.log_level, "center ")
    descriptors.raise_limit()
    plan = CenterPlan(region, zone, host, port, socket, emulate_wan, beyond_loopback)

    def on_ready(listening: CenterListening) -> None:
        if write_fleet is not None:
            write_fleet.write_text(fleet_toml(listening.reached()), encoding="utf-8")
        if announce is not None:
            listening.announce_to(announce)
        _say(listening)

    raise typer.Exit(serve_center(settings, plan, on_ready))


def _say(listening: CenterListening) -> None:
    names = [center.id for center in listening.centers]
    more = f" and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else ""
    where = [str(address) for address in listening.addresses]
    where += [listening.http] if listening.http else []
    network = f", emulating the network ({listening.emulates})" if listening.emulates else ""
    Console(stderr=True, soft_wrap=True, highlight=False).print(
        f"[bold green]nearway center[/] serves {', '.join(listening.models)} as "
        f"{', '.join(names[:NAMED_MAX])}{more} on [bold]{' and '.join(where)}[/]{network}; "
        "Ctrl-C drains and stops"
    )
