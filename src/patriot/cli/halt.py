"""`patriot halt`: trading stopped, or let go on, by a command on the log that a running platform follows."""

import os
import re
from typing import Annotated
from uuid import UUID

import typer

from patriot.cli.folders import Home, folder_opened
from patriot.cli.running import run
from patriot.host.halts import HaltWish, carry_out
from patriot.kernel.errors import InvalidInput
from patriot.risk.events import HaltLevel, ReasonCode, Scope

REASON = re.compile(r"[A-Z][A-Z0-9_]{0,39}")


def halt(
    scope: Annotated[Scope, typer.Option(help="whom it concerns", case_sensitive=False)] = Scope.GLOBAL,
    reference: Annotated[
        UUID | None, typer.Option(help="id of the user, account or strategy", show_default=False)
    ] = None,
    level: Annotated[
        HaltLevel,
        typer.Option(
            help="H1 no entries; H2 also cancels open entries; H3 also closes positions", case_sensitive=False
        ),
    ] = HaltLevel.H1,
    reason: Annotated[str, typer.Option(help="why, as a code")] = "OPERATOR",
    lift: Annotated[bool, typer.Option("--lift", help="let trading go on: lifts every halt of this scope")] = False,
    home: Home = None,
) -> None:
    """Stop trading, or let it go on: everywhere, or for one user, account or strategy.

    Ways out stay open under every halt. Works beside a running platform; without one it holds from the next start on.
    """
    run(_halt(scope, reference, level, reason, lift=lift, home=home))


async def _halt(scope: Scope, reference: UUID | None, level: HaltLevel, reason: str, *, lift: bool, home: Home) -> None:
    if (scope is Scope.GLOBAL) != (reference is None):
        wanted = "none with --scope global" if scope is Scope.GLOBAL else f"the id of the {scope.lower()}"
        raise InvalidInput("--reference", f"expected {wanted}")
    if not REASON.fullmatch(reason):
        raise InvalidInput("--reason", f"expected capitals, digits and underscores, found {reason!r}")
    if reason in set(ReasonCode):
        raise InvalidInput("--reason", f"{reason} is a rule's own, which the rule would lift: choose another")
    wish = HaltWish(scope, str(reference or ""), None if lift else level, reason)
    async with folder_opened(home) as opened:
        typer.echo(await carry_out(opened, wish))
        if opened.folder.owner() in (None, os.getpid()):
            typer.echo("no platform runs on this folder: it holds from the next start on")
