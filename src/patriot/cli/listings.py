"""`patriot accounts`, `orders`, `positions`, `halts`: what stands as tables, or as JSON for programs."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import msgspec
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from patriot.accounts.events import account_stream
from patriot.accounts.queries import accounts as all_accounts
from patriot.cli.folders import AsJson, Home, Limit, folder_opened
from patriot.cli.running import run
from patriot.host.folder_database import FolderDatabase
from patriot.host.halts import halts_in_force
from patriot.kernel.errors import InvalidInput
from patriot.kernel.money import plain
from patriot.orders.projections import OrderStatus
from patriot.orders.queries import OrderView
from patriot.orders.queries import orders as find_orders
from patriot.portfolio.queries import newest_samples
from patriot.portfolio.queries import positions as find_positions
from patriot.trading.terms import AccountId

EVERY_ORDER = 2**31 - 1
ORDER_COLUMNS = (
    *("created_at", "account_id", "symbol", "leg", "side", "order_type", "quantity", "trigger_price"),
    *("filled_quantity", "average_fill_price", "status", "reason_code"),
)
WIDEST = 1_000
Records = Sequence[dict[str, Any]]

Account = Annotated[UUID | None, typer.Option(help="of one account only", show_default=False)]


def show_records(title: str, records: Records, columns: Sequence[str], *, json: bool, nothing: str) -> None:
    """Print records: every field as JSON, or the named columns as a table; `nothing` where there is none."""
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(records)))
        return
    if not records:
        typer.echo(nothing)
        return
    print_records(Console(highlight=False), title, records, columns)


def print_records(console: Console, title: str, records: Records, columns: Sequence[str]) -> None:
    """Print a table; on a terminal that it does not fit, a block for each record, without what is empty."""
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    for column in columns:
        table.add_column(column.replace("_", " "), no_wrap=True)
    for record in records:
        table.add_row(*(shown(record[column]) for column in columns))
    needed = Console(width=WIDEST).measure(table).maximum
    if console.is_terminal and needed > console.width:
        console.print(title, style="table.title")
        widest = max(map(len, columns))
        for record in records:
            told = {column.replace("_", " "): shown(record[column]) for column in columns}
            console.print("".join(f"{name:<{widest}}  {text}\n" for name, text in told.items() if text), markup=False)
    else:
        console.width = max(needed, console.width)  # an id is never cut: better a line that wraps
        console.print(table, crop=False)


def shown(value: object) -> str:
    """Return one cell: amounts in plain digits, times to the second, nothing for None."""
    match value:
        case None:
            return ""
        case Decimal():
            return plain(value)
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S}"
    return str(value)


async def known_account(opened: FolderDatabase, account: UUID | None) -> AccountId | None:
    """Return the account that was asked for. Errors: InvalidInput for one that the log does not know."""
    if account is None:
        return None
    account_id = AccountId(account)
    if not await opened.store.read_stream(account_stream(account_id)):
        raise InvalidInput("--account", f"there is no account {account_id}: `patriot accounts` lists them")
    return account_id


def accounts(home: Home = None, json: AsJson = False) -> None:
    """List the accounts with their newest equity."""
    columns = ("account_id", "exchange", "environment", "status", "reason_code", "equity", "quote_asset", "linked_at")
    show_records("Accounts", run(_accounts(home)), columns, json=json, nothing="no account is linked")


async def _accounts(home: Home) -> Records:
    async with folder_opened(home) as opened:
        samples = {sample.account_id: sample for sample in await newest_samples(opened.database, None)}
        found = []
        for account in await all_accounts(opened.database):
            sample = samples.get(account.account_id)
            newest = {"equity": sample.equity, "sampled_at": sample.sampled_at} if sample else {}
            found.append(asdict(account) | {"equity": None, "sampled_at": None} | newest)
        return found


def orders(
    account: Account = None,
    status: Annotated[
        OrderStatus | None, typer.Option(help="only those that stand there", case_sensitive=False, show_default=False)
    ] = None,
    limit: Limit = 50,
    home: Home = None,
    json: AsJson = False,
) -> None:
    """List orders, the newest first."""
    nothing = "no orders" if account is None and status is None else "no such orders"
    show_records("Orders", run(_orders(home, account, status, limit)), ORDER_COLUMNS, json=json, nothing=nothing)


async def _orders(home: Home, account: UUID | None, status: OrderStatus | None, limit: int) -> Records:
    async with folder_opened(home) as opened:
        account_id = await known_account(opened, account)
        read = limit if status is None else EVERY_ORDER
        found: list[OrderView] = await find_orders(opened.database, None, account_id=account_id, limit=read)
        return [asdict(order) for order in found if status in (None, order.status)][:limit]


def positions(account: Account = None, home: Home = None, json: AsJson = False) -> None:
    """List the open positions of every account."""
    columns = ("account_id", "symbol", "quantity", "cost_basis", "realized_pnl", "commission", "funding", "changed_at")
    show_records("Open positions", run(_positions(home, account)), columns, json=json, nothing="no open positions")


async def _positions(home: Home, account: UUID | None) -> Records:
    async with folder_opened(home) as opened:
        account_id = await known_account(opened, account)
        return [asdict(position) for position in await find_positions(opened.database, None, account_id)]


def halts(home: Home = None, json: AsJson = False) -> None:
    """List the halts in force, the widest first."""
    columns = ("scope", "reference", "level", "reason_code", "halted_at")
    show_records("Halts in force", run(_halts(home)), columns, json=json, nothing="no halt is in force")


async def _halts(home: Home) -> Records:
    async with folder_opened(home) as opened:
        return [asdict(halt) for halt in await halts_in_force(opened.store.feed)]
