"""The `patriot` command. A command's module is imported when it is called, so that `patriot --help` answers at once."""

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

COMMANDS = {  # name: where it is, and the first line of what it says about itself
    "demo": (
        "demo:demo",
        "Run the main job on this machine: prices, signals, orders on many accounts, protection, fees, proof.",
    ),
    "up": ("up:up", "Run the platform live on this machine: database, exchange, every service, until it is ended."),
    "down": ("down:down", "End whatever runs on a data folder: platform, simulator, PostgreSQL."),
    "verify": (
        "verify:verify",
        "Judge a data folder: chain, roots, read models, money, and every order against the exchange.",
    ),
    "soak": ("soak:soak", "Run the whole platform under seeded faults of its exchange, and judge what happened."),
    "halt": ("halt:halt", "Stop trading, or let it go on: everywhere, or for one user, account or strategy."),
    "halts": ("listings:halts", "List the halts in force, the widest first."),
    "risk": ("risk:risk", "Let an account trade on after a drawdown."),
    "events": ("log:events", "Read the log: what happened, in the order in which it was recorded."),
    "accounts": ("listings:accounts", "List the accounts with their newest equity."),
    "orders": ("listings:orders", "List orders, the newest first."),
    "positions": ("listings:positions", "List the open positions of every account."),
    "invoices": ("invoices:invoices", "List invoices, show one, write its page or its proof."),
    "invoice": ("invoices:invoice", "Check an invoice offline, from its proof alone."),
    "serve": ("serve:serve", "Run one service as a process of its own."),
    "sim": ("sim:app", "Run an exchange that speaks the wire protocols of Binance USD-M Futures and Bybit v5."),
    "db": ("db:db", "Bring the schema up to date, build read models again, or take over a restored log."),
}


class Commands(TyperGroup):
    """Names and first lines from the table above; the command itself when one is called."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # typer keeps the types of its parser to itself
        """Return the name, the command and the rest of the words."""
        name, known, rest = super().resolve_command(ctx, args)
        return name, known and _load(known.name or ""), rest


app = typer.Typer(
    cls=Commands,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # they show local variables, and a variable may hold a secret
    help="Run strategies over many clients' own exchange accounts.",
)


@app.callback()
def _patriot() -> None:
    """Make this a group, however few commands it has."""


def _load(name: str) -> Any:
    module, _, attribute = COMMANDS[name][0].partition(":")
    found = getattr(import_module(f"patriot.cli.{module}"), attribute)
    if not isinstance(found, typer.Typer):
        alone = typer.Typer(add_completion=False)
        alone.command(name)(found)
        found = alone
    command = get_command(found)
    command.name = name
    return command


def _in_the_table() -> None:
    raise AssertionError("the table of commands leads to the real ones")


for _name, (_, _first_line) in COMMANDS.items():
    app.command(_name, help=_first_line)(_in_the_table)

if __name__ == "__main__":
    app()
