"""The `patriot` command."""

import typer

from patriot.cli.demo import demo
from patriot.cli.sim import sim

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Run strategies over many clients' own exchange accounts."
)
app.command()(demo)
app.command()(sim)

if __name__ == "__main__":
    app()
