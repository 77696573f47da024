"""Orders, fills and brackets as views. `user_id` is a predicate of every list; None: the operator, who sees all."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, localcontext

from patriot.kernel.money import EXACT
from patriot.kernel.sql import Row, Sql
from patriot.trading.terms import AccountId, OrderId, SignalId, StrategyId, UserId

PRICE_STEP = Decimal("0.00000001")  # of an average price on screen
PAGE_ROWS = 100

_ORDER = """
    SELECT order_id, group_id, leg, sequence, user_id, account_id, strategy_id, signal_id, symbol, side, order_type,
        quantity, price, trigger_price, reduce_only, client_order_id, venue_order_id, status, reason_code,
        filled_quantity, filled_notional, created_at, submitted_at, accepted_at, closed_at
    FROM read.orders
"""
_ORDERS = (
    _ORDER
    + """
    WHERE ($1::uuid IS NULL OR user_id = $1) AND ($2::uuid IS NULL OR account_id = $2)
        AND ($3::text IS NULL OR symbol = $3)
        AND (NOT $4 OR status NOT IN ('DENIED', 'FILLED', 'CANCELED', 'REJECTED', 'EXPIRED'))
    ORDER BY created_at DESC, order_id LIMIT $5
"""
)
_FILLS = """
    SELECT order_id, trade_id, group_id, leg, account_id, strategy_id, symbol, side, quantity, price, commission,
        commission_asset, realized_pnl, is_maker, filled_at
    FROM read.fills
    WHERE ($1::uuid IS NULL OR user_id = $1) AND ($2::uuid IS NULL OR account_id = $2)
        AND ($3::uuid IS NULL OR group_id = $3)
    ORDER BY filled_at DESC, order_id, trade_id LIMIT $4
"""
_BRACKETS = """
    SELECT group_id, account_id, strategy_id, signal_id, symbol, side, stop_price, take_profit_price, status,
        close_reason, created_at, closed_at
    FROM read.brackets
    WHERE ($1::uuid IS NULL OR user_id = $1) AND ($2::uuid IS NULL OR account_id = $2)
        AND (NOT $3 OR status IN ('PENDING', 'OPEN'))
    ORDER BY created_at DESC, group_id LIMIT $4
"""


@dataclass(frozen=True, slots=True)
class OrderView:
    """One order. Units: quantities in base asset, prices in quote per base."""

    order_id: OrderId
    group_id: OrderId
    leg: str
    sequence: int
    user_id: UserId
    account_id: AccountId
    strategy_id: StrategyId | None
    signal_id: SignalId | None
    symbol: str
    side: str
    order_type: str
    quantity: Decimal
    price: Decimal | None
    trigger_price: Decimal | None
    reduce_only: bool
    client_order_id: str
    venue_order_id: str | None
    status: str
    reason_code: str | None
    filled_quantity: Decimal
    average_fill_price: Decimal | None  # rounded to 1e-8; the sum of notionals stays exact in the row
    created_at: datetime
    submitted_at: datetime | None
    accepted_at: datetime | None
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class FillView:
    order_id: OrderId
    trade_id: str
    group_id: OrderId
    leg: str
    account_id: AccountId
    strategy_id: StrategyId | None
    symbol: str
    side: str
    quantity: Decimal
    price: Decimal
    commission: Decimal
    commission_asset: str
    realized_pnl: Decimal
    is_maker: bool
    filled_at: datetime


@dataclass(frozen=True, slots=True)
class BracketView:
    group_id: OrderId
    account_id: AccountId
    strategy_id: StrategyId | None
    signal_id: SignalId | None
    symbol: str
    side: str
    stop_price: Decimal | None
    take_profit_price: Decimal | None
    status: str
    close_reason: str | None
    created_at: datetime
    closed_at: datetime | None


async def orders(
    sql: Sql,
    user_id: UserId | None,
    *,
    account_id: AccountId | None = None,
    symbol: str | None = None,
    open_only: bool = False,
    limit: int = PAGE_ROWS,
) -> list[OrderView]:
    """Return orders, newest first."""
    return [_order(row) for row in await sql.fetch(_ORDERS, user_id, account_id, symbol, open_only, limit)]


async def fills(
    sql: Sql,
    user_id: UserId | None,
    *,
    account_id: AccountId | None = None,
    group_id: OrderId | None = None,
    limit: int = PAGE_ROWS,
) -> list[FillView]:
    """Return executions, newest first."""
    rows = await sql.fetch(_FILLS, user_id, account_id, group_id, limit)
    return [FillView(*(row[name] for name in FillView.__slots__)) for row in rows]


async def brackets(
    sql: Sql,
    user_id: UserId | None,
    *,
    account_id: AccountId | None = None,
    open_only: bool = False,
    limit: int = PAGE_ROWS,
) -> list[BracketView]:
    """Return brackets, newest first."""
    rows = await sql.fetch(_BRACKETS, user_id, account_id, open_only, limit)
    return [BracketView(*(row[name] for name in BracketView.__slots__)) for row in rows]


def _order(row: Row) -> OrderView:
    filled, notional = row["filled_quantity"], row["filled_notional"]
    with localcontext(EXACT):
        average = (notional / filled).quantize(PRICE_STEP) if filled else None
    plain = {name: row[name] for name in OrderView.__slots__ if name != "average_fill_price"}
    return OrderView(**plain, average_fill_price=average)
