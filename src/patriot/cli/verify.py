"""`patriot verify`: an independent judgment of a data folder, with the same tables as the demo's."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from patriot.cli.demo import show
from patriot.cli.running import run
from patriot.host.folder_database import chosen_folder
from patriot.host.logs import log_to
from patriot.host.settings import Settings
from patriot.host.verify import verify_folder
from patriot.judge.summary import Summary
from patriot.kernel.errors import HistoryDamaged

NOT_ALL_JUDGED = 3
NOT_SEEN = (
    "There is no simulator in this folder to compare with: laws 1, 4, 8 and 11 were not tested against the exchange;"
    " 2, 3 and end were judged by the log alone."
)

NOT_OPENED = "its key does not open with this master key or is gone, and was looked for nowhere (law 6)"


def verify(
    folder: Annotated[Path | None, typer.Argument(help="data folder; PATRIOT_HOME, or the demo kept in it")] = None,
    json: Annotated[bool, typer.Option("--json", help="print the judgment as JSON")] = False,
    root: Annotated[bool, typer.Option("--root", help="print the newest published root of the log as well")] = False,
) -> None:
    """Judge a data folder: chain, roots, read models, money, and every order against the exchange.

    Exit status 1 if anything is wrong; 3 if nothing is, and the exchange's side could not be seen or a client's key did
    not open. A law that this folder cannot put to the test is shown as not tested.
    """
    summary = run(_verify(folder))
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(summary)))
    else:
        show(Console(), summary)
        _tell_what_was_seen(Console(), summary)
    if root:
        typer.echo(f"newest root {summary.newest_root or 'none'}", err=json)
    if summary.broken:
        raise typer.Exit(1)
    if not summary.exchange_shown or summary.keys_unopened:
        raise typer.Exit(NOT_ALL_JUDGED)


def _tell_what_was_seen(console: Console, summary: Summary) -> None:
    """Name the accounts that were judged on both sides, those that were not, and what that leaves open."""
    for account_id, uid in summary.accounts_judged.items():
        console.print(f"judged      account {account_id} as {uid} of the exchange", highlight=False, soft_wrap=True)
    for account_id in summary.accounts_unreachable:
        console.print(f"not seen    account {account_id}", highlight=False, soft_wrap=True)
    for unclaimed in summary.accounts_unclaimed:
        console.print(f"unclaimed   {unclaimed} of the exchange", highlight=False, soft_wrap=True)
    for account_id in summary.keys_unopened:
        console.print(f"not opened  account {account_id}: {NOT_OPENED}", highlight=False, soft_wrap=True)
    if not summary.exchange_shown:
        console.print(NOT_SEEN, highlight=False, soft_wrap=True)


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
