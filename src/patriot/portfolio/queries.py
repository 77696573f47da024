"""What accounts, strategies and users hold and earned. `user_id` is a predicate of every query.

None as `user_id` is for the operator and for services, who see every account.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, localcontext
from typing import TypeVar

from patriot.kernel.money import EXACT, Money
from patriot.kernel.sql import Row, Sql
from patriot.portfolio.valuation import Balance
from patriot.trading.terms import AccountId, OrderId, StrategyId, UserId

View = TypeVar("View")

PAGE_ROWS = 100
SERIES_ROWS = 10_000

_BALANCES = """
    SELECT account_id, user_id, asset, transfers, realized_pnl, commission, funding FROM read.ledger
    WHERE ($1::uuid IS NULL OR user_id = $1) AND ($2::uuid IS NULL OR account_id = $2)
    ORDER BY account_id, asset
"""
_POSITIONS = """
    SELECT account_id, symbol, user_id, strategy_id, quantity, cost_basis, realized_pnl, commission, funding, changed_at
    FROM read.positions
    WHERE ($1::uuid IS NULL OR user_id = $1) AND ($2::uuid IS NULL OR account_id = $2) AND (NOT $3 OR quantity <> 0)
    ORDER BY account_id, symbol
"""
_SERIES = """
    SELECT account_id, reason, asset, wallet_balance, equity, sampled_at FROM read.equity_series
    WHERE ($1::uuid IS NULL OR user_id = $1) AND account_id = $2
        AND ($3::timestamptz IS NULL OR sampled_at >= $3) AND ($4::timestamptz IS NULL OR sampled_at < $4)
    ORDER BY sampled_at, version LIMIT $5
"""
_NEWEST = """
    SELECT DISTINCT ON (account_id) account_id, reason, asset, wallet_balance, equity, sampled_at
    FROM read.equity_series
    WHERE ($1::uuid IS NULL OR user_id = $1) AND ($2::uuid IS NULL OR account_id = $2)
    ORDER BY account_id, version DESC
"""
_SUMS = """
    asset,
    coalesce(sum(amount) FILTER (WHERE kind = 'TRANSFER'), 0) AS transfers,
    coalesce(sum(amount) FILTER (WHERE kind = 'REALIZED_PNL'), 0) AS realized_pnl,
    coalesce(-sum(amount) FILTER (WHERE kind = 'COMMISSION'), 0) AS commission,
    coalesce(sum(amount) FILTER (WHERE kind = 'FUNDING'), 0) AS funding
    FROM read.ledger_entries
"""
_OF_STRATEGIES = f"""
    SELECT strategy_id AS reference, {_SUMS}
    WHERE ($1::uuid IS NULL OR user_id = $1) AND strategy_id IS NOT NULL AND ($2::uuid IS NULL OR strategy_id = $2)
    GROUP BY strategy_id, asset ORDER BY strategy_id, asset
"""
_OF_USERS = f"""
    SELECT user_id AS reference, {_SUMS}
    WHERE ($1::uuid IS NULL OR user_id = $1) GROUP BY user_id, asset ORDER BY user_id, asset
"""
_CLOSED = """
    SELECT group_id, account_id, strategy_id, symbol, quantity, entry_price, exit_price, realized_pnl,
        commission_assets, commission_amounts, close_reason, opened_at, closed_at
    FROM read.closed_positions
    WHERE ($1::uuid IS NULL OR user_id = $1) AND ($2::uuid IS NULL OR account_id = $2)
    ORDER BY closed_at DESC, group_id LIMIT $3
"""


@dataclass(frozen=True, slots=True)
class BalanceView:
    """What moved one asset of one account, as the events say."""

    account_id: AccountId
    user_id: UserId
    asset: str
    transfers: Decimal
    realized_pnl: Decimal
    commission: Decimal
    funding: Decimal

    @property
    def wallet_balance(self) -> Decimal:
        """Return the wallet that the events give."""
        return Balance(self.transfers, self.realized_pnl, self.commission, self.funding).wallet


@dataclass(frozen=True, slots=True)
class PositionView:
    """One symbol of an account. Units: base asset, quote asset; unrealized = quantity x mark price - cost_basis.

    What was paid in another asset is in the balance of that asset alone.
    `strategy_id` is the owner while the position is open, the last one afterwards.
    """

    account_id: AccountId
    symbol: str
    user_id: UserId
    strategy_id: StrategyId | None
    quantity: Decimal
    cost_basis: Decimal
    realized_pnl: Decimal
    commission: Decimal
    funding: Decimal
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class EquityView:
    """One sample: what the exchange said the account was worth."""

    account_id: AccountId
    reason: str
    asset: str
    wallet_balance: Decimal
    equity: Decimal
    sampled_at: datetime


@dataclass(frozen=True, slots=True)
class EarningsView:
    """Sums of one strategy or one user (`reference`) in one asset; `net` is what trading brought."""

    reference: StrategyId | UserId
    asset: str
    transfers: Decimal
    realized_pnl: Decimal
    commission: Decimal
    funding: Decimal

    @property
    def net(self) -> Decimal:
        """Return realized - commission + funding."""
        with localcontext(EXACT):
            return self.realized_pnl - self.commission + self.funding


@dataclass(frozen=True, slots=True)
class ClosedPositionView:
    group_id: OrderId
    account_id: AccountId
    strategy_id: StrategyId | None
    symbol: str
    quantity: Decimal
    entry_price: Decimal | None
    exit_price: Decimal | None
    realized_pnl: Decimal
    commissions: tuple[Money, ...]  # each in its own asset
    close_reason: str
    opened_at: datetime | None
    closed_at: datetime


@dataclass(frozen=True, slots=True)
class AccountPortfolio:
    """One account at a glance; `newest_sample` is None until the exchange was asked once."""

    balances: tuple[BalanceView, ...]
    positions: tuple[PositionView, ...]
    newest_sample: EquityView | None


async def balances(sql: Sql, user_id: UserId | None, account_id: AccountId | None = None) -> list[BalanceView]:
    """Return what moved each asset of each account."""
    return _views(BalanceView, await sql.fetch(_BALANCES, user_id, account_id))


async def positions(
    sql: Sql, user_id: UserId | None, account_id: AccountId | None = None, *, open_only: bool = True
) -> list[PositionView]:
    """Return positions by account and symbol."""
    return _views(PositionView, await sql.fetch(_POSITIONS, user_id, account_id, open_only))


async def equity_series(
    sql: Sql,
    user_id: UserId | None,
    account_id: AccountId,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = SERIES_ROWS,
) -> list[EquityView]:
    """Return the samples of an account in [since, until), ascending."""
    return _views(EquityView, await sql.fetch(_SERIES, user_id, account_id, since, until, limit))


async def newest_samples(sql: Sql, user_id: UserId | None, account_id: AccountId | None = None) -> list[EquityView]:
    """Return the newest sample of each account."""
    return _views(EquityView, await sql.fetch(_NEWEST, user_id, account_id))


async def account_portfolio(sql: Sql, user_id: UserId | None, account_id: AccountId) -> AccountPortfolio:
    """Return balances, open positions and newest equity of one account; all empty if the user does not own it."""
    samples = await newest_samples(sql, user_id, account_id)
    return AccountPortfolio(
        tuple(await balances(sql, user_id, account_id)),
        tuple(await positions(sql, user_id, account_id)),
        samples[0] if samples else None,
    )


async def strategy_earnings(
    sql: Sql, user_id: UserId | None, strategy_id: StrategyId | None = None
) -> list[EarningsView]:
    """Return what each strategy earned, over the accounts the user may see."""
    return _views(EarningsView, await sql.fetch(_OF_STRATEGIES, user_id, strategy_id))


async def user_earnings(sql: Sql, user_id: UserId | None) -> list[EarningsView]:
    """Return what each user's accounts earned together, assets apart."""
    return _views(EarningsView, await sql.fetch(_OF_USERS, user_id))


async def closed_positions(
    sql: Sql, user_id: UserId | None, account_id: AccountId | None = None, limit: int = PAGE_ROWS
) -> list[ClosedPositionView]:
    """Return closed positions, newest first."""
    return [_closed_position(row) for row in await sql.fetch(_CLOSED, user_id, account_id, limit)]


def _closed_position(row: Row) -> ClosedPositionView:
    paid = zip(row["commission_amounts"], row["commission_assets"], strict=True)
    commissions = tuple(Money(amount, asset) for amount, asset in paid)
    plain = {name: row[name] for name in ClosedPositionView.__slots__ if name != "commissions"}
    return ClosedPositionView(**plain, commissions=commissions)


def _views(view: type[View], rows: Sequence[Row]) -> list[View]:
    names: tuple[str, ...] = view.__slots__  # type: ignore[attr-defined]  # every view is a slotted dataclass
    return [view(*(row[name] for name in names)) for row in rows]
