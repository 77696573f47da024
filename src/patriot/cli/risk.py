"""`patriot risk`: what two persons decide about an account's risk, by a command on the log."""

import os
from typing import Annotated
from uuid import UUID

import typer

from patriot.cli.folders import Home, folder_opened
from patriot.cli.running import run
from patriot.host.halts import OPERATOR
from patriot.host.peaks import RebaseWish, rebase_peak
from patriot.kernel.errors import CommandRefused, InvalidInput
from patriot.kernel.two_persons import require_two_persons
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
    _check(wish)
    async with folder_opened(home) as opened:
        typer.echo(await rebase_peak(opened.store, opened.store.feed, opened.bus, opened.clock, wish, OPERATOR))
        typer.echo(UNPROVEN)
        if opened.folder.owner() in (None, os.getpid()):
            typer.echo("no platform runs on this folder: it holds from the next start on")


def _check(wish: RebaseWish) -> None:
    """Refuse by option what the rules would refuse without naming one."""
    for option, name in (("--requested-by", wish.requested_by), ("--approved-by", wish.approved_by)):
        if not name.strip():
            raise InvalidInput(option, "expected a name, found none")
    try:
        require_two_persons(wish.requested_by, wish.approved_by)
    except CommandRefused as error:
        raise InvalidInput("--approved-by", str(error)) from error
    if not wish.reason.strip():
        raise InvalidInput("--reason", "expected why, found nothing")
