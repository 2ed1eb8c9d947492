"""``nearway serve``: start the gateway."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from gateway.cli.options import ConfigFile, FleetFile, ModelsDir, Sites, effective
from gateway.config import Settings
from gateway.runtime.listening import Listening
from gateway.runtime.serve import serve
from gateway.runtime.supervisor import supervise
from gateway.runtime.worker import set_up_log
from gateway.serving import descriptors

log = logging.getLogger("nearway")


def command(
    config: ConfigFile = None,
    fleet: FleetFile = None,
    models: ModelsDir = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 picks a free one.")] = None,
    admin_port: Annotated[int | None, typer.Option(help="Admin port; 0 picks one.")] = None,
    grpc_port: Annotated[
        int | None, typer.Option(help="Port of the gRPC door; 0 picks a free one.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes that serve, deciding as one.")
    ] = None,
    sites: Sites = None,
    announce: Annotated[
        Path | None, typer.Option(help="Write {url, admin_url, grpc, pid} as JSON here once ready.")
    ] = None,
) -> None:
    """Serve models at the fleet's centers behind one endpoint."""

    def load() -> Settings:
        return effective(
            config,
            fleet=fleet,
            models=models,
            sites=sites,
            server__host=host,
            server__port=port,
            server__admin_port=admin_port,
            server__grpc_port=grpc_port,
            server__workers=workers,
        ).settings

    settings = load()
    set_up_log(settings.telemetry.log_level)
    low = descriptors.shortage(descriptors.raise_limit())
    if low:
        log.warning("%s", low)
    run = supervise if settings.server.workers > 1 else serve
    raise typer.Exit(run(load, announce, _say, config))


def _say(listening: Listening) -> None:
    grpc = f"gRPC {listening.grpc}, " if listening.grpc else ""
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    console.print(
        f"[bold green]nearway[/] serves {', '.join(listening.models)} "
        f"at {listening.centers} centers on [bold]{listening.url}[/] "
        f"({grpc}admin {listening.admin_url}); Ctrl-C drains and stops"
    )
