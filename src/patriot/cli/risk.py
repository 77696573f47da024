"""`patriot risk`: what two persons decide about an account's risk, by a command on the log."""

import os
from typing import Annotated
from uuid import UUID

import typer

from patriot.cli.folders import Home, folder_opened
from patriot.cli.running import run
from patriot.host.halts import OPERATOR
from patriot.host.peaks import RebaseWish, rebase_peak
from patriot.trading.terms import AccountId

risk = typer.Typer(no_args_is_help=True, add_completion=False, help="Let an account trade on after a drawdown.")
UNPROVEN = "the two names are as given: until there is a sign-in, nothing proves whose they are"


@risk.callback()
def _group() -> None:
    """Let an account trade on after a drawdown."""


@risk.command("rebase")
def rebase(
    account: Annotated[UUID, typer.Argument(metavar="ACCOUNT", help="its id")],
    requested_by: Annotated[str, typer.Option(help="who asks for it")],
    approved_by: Annotated[str, typer.Option(help="who approves it: another person")],
    reason: Annotated[str, typer.Option(help="why, in a sentence")],
    home: Home = None,
) -> None:
    """Count the drawdown of an account from what its newest sample shows, and lift the halt that it raised.

    The loss stays on the log, with both names and the reason. Works beside a running platform; without one it holds
    from the next start on.
    """
    run(_rebase(RebaseWish(AccountId(account), requested_by, approved_by, reason), home))


async def _rebase(wish: RebaseWish, home: Home) -> None:
    async with folder_opened(home) as opened:
        typer.echo(await rebase_peak(opened.store, opened.store.feed, opened.bus, opened.clock, wish, OPERATOR))
        typer.echo(UNPROVEN)
        if opened.folder.owner() in (None, os.getpid()):
            typer.echo("no platform runs on this folder: it holds from the next start on")
