"""``nearway``: one module a command, arguments only.

Exit codes: 0 done (a verdict: pass), 1 a check or verdict failed, 2 cannot tell,
3 could not run (wrong argument, config, file, port).
"""

from __future__ import annotations

import sys

import typer
from rich.console import Console
from rich.markup import escape

from gateway import __version__
from gateway.api import NearwayError
from gateway.cli import (
    bench,
    center,
    config,
    explain,
    load,
    models,
    plugins,
    serve,
    simulate,
    top,
    verify,
)

COULD_NOT_RUN = 3

# Typer brings its own click or uses the installed one, by its version: this is the root of
# its usage errors in both.
UsageMistake: type[Exception] = typer.BadParameter.__bases__[0].__bases__[0]

app = typer.Typer(
    name="nearway",
    help="An inference gateway that answers from the compute center that will answer soonest.",
    epilog="Exit codes: 0 done or pass, 1 a check or verdict failed, 2 cannot tell, "
    "3 could not run.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback(invoke_without_command=True)
def version(
    show: bool = typer.Option(False, "--version", help="Print the version and exit."),
) -> None:
    """Options before the command."""
    if show:
        typer.echo(f"nearway {__version__}")
        raise typer.Exit


app.command("serve")(serve.command)
app.command("center")(center.command)
app.command("verify")(verify.command)
app.command("load")(load.command)
app.command("explain")(explain.command)
app.command("top")(top.command)
app.command("simulate")(simulate.command)
app.command(
    "bench",
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "allow_interspersed_args": False,
    },
)(bench.command)
app.add_typer(models.app, name="models")
app.add_typer(plugins.app, name="plugins")
app.add_typer(config.app, name="config")


def main() -> None:
    """Run the command line; a mistake of the user's is one line, not a traceback."""
    try:
        code = app(standalone_mode=False)
    except UsageMistake as error:
        error.show()  # type: ignore[attr-defined]  # every usage error of click's can show itself
        sys.exit(COULD_NOT_RUN)
    except typer.Abort:
        sys.exit(130)
    except NearwayError as error:
        Console(stderr=True, soft_wrap=True).print(
            f"[bold red]error[/] {type(error).__name__}:",
            escape(str(error)),
            markup=True,
            highlight=False,
        )
        sys.exit(COULD_NOT_RUN)
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
