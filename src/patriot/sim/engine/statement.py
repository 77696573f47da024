"""The venue's whole state as plain data, for judges: what it holds is decided here and nowhere else."""

from __future__ import annotations

from dataclasses import fields
from decimal import Decimal

import msgspec

from patriot.sim.engine.account import Account
from patriot.sim.engine.floor import Floor
from patriot.sim.engine.records import (
    AlgoOrder,
    Income,
    MarginChange,
    Order,
    Pools,
    Position,
    Protection,
    Ticker,
    Trade,
)
from patriot.sim.engine.words import ZERO, IncomeType

Record = Order | AlgoOrder | Trade | Income | Position | Ticker | Pools | MarginChange


def plain(number: Decimal) -> str:
    """Write a Decimal without exponent and without trailing zeros, so that equal numbers are equal text.

    >>> plain(Decimal("1E+3")), plain(Decimal("0.500")), plain(Decimal("0E-8"))
    ('1000', '0.5', '0')
    """
    if not number:
        return "0"
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def of_record(record: Record) -> dict[str, object]:
    """Return a record's fields by name."""
    return {field.name: _ready(getattr(record, field.name)) for field in fields(record)}


def _ready(item: object) -> object:
    if isinstance(item, Decimal):
        return plain(item)
    if isinstance(item, Protection):
        parts = msgspec.structs.asdict(item)
        return {name: _ready(part) for name, part in parts.items() if part is not None}
    if isinstance(item, dict):
        return {key: _ready(part) for key, part in item.items()}
    return item


def of_account(account: Account, floor: Floor) -> dict[str, object]:
    """Return everything about one account."""
    return told(noted(account, floor))


def told(account: dict[str, object]) -> dict[str, object]:
    """Return what was noted of an account, ready for JSON."""
    return {
        name: [of_record(record) for record in item] if isinstance(item, tuple) else item
        for name, item in account.items()
    }


def noted(account: Account, floor: Floor) -> dict[str, object]:
    """Return everything about one account as it is now, its records as they are: quick, and told() at leisure."""
    view = account.view(floor.markets)
    sums = dict.fromkeys(IncomeType, ZERO)
    for record in account.income:
        sums[record.income_type] += record.amount
    return {
        "uid": account.uid,
        "permissions": list(account.permissions),
        "hedge_mode": account.hedge_mode,
        "hedge_by_symbol": dict(sorted(account.hedge_by_symbol.items())),
        "settings": {
            symbol: {"leverage": row.leverage, "margin_type": row.margin_type}
            for symbol, row in sorted(account.settings.items())
        },
        "wallet": plain(view.wallet),
        "cross_wallet": plain(view.cross_wallet),
        "unrealized_pnl": plain(view.unrealized_pnl),
        "equity": plain(view.equity),
        "maintenance_margin": plain(view.maintenance_margin),
        "income_sums": {kind.value: plain(amount) for kind, amount in sums.items()},
        "positions": tuple(account.held()),
        "orders": tuple(account.orders.values()),
        "algo_orders": tuple(account.algo_orders.values()),
        "trades": tuple(account.trades),
        "margin_changes": tuple(account.margin_changes),
        "income": tuple(account.income),
    }


def of_venue(floor: Floor) -> dict[str, object]:
    """Return everything about the venue."""
    accounts = {str(uid): of_account(account, floor) for uid, account in sorted(floor.accounts.items())}
    return {**head(floor), "accounts": accounts}


def head(floor: Floor) -> dict[str, object]:
    """Return everything about the venue but its accounts."""
    return {
        "seed": floor.seed,
        "now_ms": floor.now_ms,
        "tickers": {
            symbol: of_record(market.ticker)
            for symbol, market in sorted(floor.markets.items())
            if market.ticker is not None
        },
        "pools": of_record(floor.pools.view()),
    }
