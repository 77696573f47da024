"""`patriot verify`: an independent judgment of a data folder, with the same tables as the demo's."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from patriot.cli.demo import show
from patriot.cli.running import run
from patriot.host.logs import log_to
from patriot.host.opened import chosen_folder
from patriot.host.settings import Settings
from patriot.host.verify import verify_folder
from patriot.judge.summary import Summary
from patriot.kernel.errors import HistoryDamaged


def verify(
    folder: Annotated[Path | None, typer.Argument(help="data folder; PATRIOT_HOME, or the demo kept in it")] = None,
    json: Annotated[bool, typer.Option("--json", help="print the judgment as JSON")] = False,
    root: Annotated[bool, typer.Option("--root", help="print the newest published root of the log as well")] = False,
) -> None:
    """Judge a data folder: chain, read models, money, and every order against the exchange.

    Exit status 1 if anything is wrong. A law that this folder cannot put to the test is shown as not tested.
    """
    summary = run(_verify(folder))
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(summary)))
    else:
        show(Console(), summary)
    if root:
        typer.echo(f"newest root {summary.newest_root or 'none'}", err=json)
    if summary.broken:
        raise typer.Exit(1)


async def _verify(named: Path | None) -> Summary:
    settings = Settings.read()
    folder = chosen_folder(settings, named)
    screen = Console(stderr=True)
    screen.print(f"data folder {folder.path}", highlight=False, soft_wrap=True)
    if folder.path.exists():
        log_to(folder.log, settings.log_level)
    with screen.status("verifying") as status:
        try:
            return await verify_folder(folder, settings, status.update)
        except HistoryDamaged as error:  # a finding about the folder, not a mistake of the caller
            typer.echo(f"patriot: {error}", err=True)
            raise typer.Exit(1) from error
