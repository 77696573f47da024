"""Strategies, followers and signals as views. `user_id` is a predicate of what a client owns; None: the operator."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from patriot.kernel.sql import Row, Sql
from patriot.strategies.events import SignalAction, StrategyStatus
from patriot.strategies.interface import ActiveStrategy
from patriot.strategies.parameters import KINDS
from patriot.trading.terms import AccountId, Exchange, SignalId, StrategyId, UserId

PAGE_ROWS = 100

_STRATEGIES = """
    SELECT strategy_id, name, kind, exchange, symbol, bar_interval, parameters, risk_per_trade_fraction, max_leverage,
        fee_rate, config_version, status, reason_code, active_from, created_at,
        (SELECT count(*) FROM read.assignments a
         WHERE a.strategy_id = s.strategy_id AND a.unassigned_at IS NULL) AS followers
    FROM read.strategies s
"""
_LIST = _STRATEGIES + " WHERE $1::text IS NULL OR status = $1 ORDER BY created_at, strategy_id"
_ONE = _STRATEGIES + " WHERE strategy_id = $1"
_FOLLOWERS = """
    SELECT account_id, user_id, assignment_id, allocation_fraction, risk_multiplier FROM read.assignments
    WHERE strategy_id = $1 AND unassigned_at IS NULL ORDER BY account_id
"""
_ASSIGNMENTS = """
    SELECT a.assignment_id, a.strategy_id, s.name, a.user_id, a.account_id, a.allocation_fraction, a.risk_multiplier,
        a.consented_at, a.assigned_at, a.unassigned_at, a.reason_code
    FROM read.assignments a JOIN read.strategies s USING (strategy_id)
    WHERE ($1::uuid IS NULL OR a.user_id = $1) AND ($2::uuid IS NULL OR a.account_id = $2)
        AND (NOT $3 OR a.unassigned_at IS NULL)
    ORDER BY a.assigned_at, a.assignment_id
"""
_SIGNALS = """
    SELECT signal_id, strategy_id, exchange, symbol, action, reference_price, stop_price, take_profit_price, confidence,
        indicators, bar_closed_at, generated_at, valid_until
    FROM read.signals WHERE $1::uuid IS NULL OR strategy_id = $1
    ORDER BY bar_closed_at DESC, signal_id LIMIT $2
"""


@dataclass(frozen=True, slots=True)
class StrategyView:
    """One strategy. `label` says what kind of thing it is, in words for people."""

    strategy_id: StrategyId
    name: str
    kind: str
    label: str
    exchange: Exchange
    symbol: str
    interval: str
    parameters: dict[str, str]
    risk_per_trade_fraction: Decimal
    max_leverage: Decimal
    fee_rate: Decimal
    config_version: int
    status: StrategyStatus
    reason_code: str | None
    active_from: datetime
    created_at: datetime
    followers: int


@dataclass(frozen=True, slots=True)
class FollowerView:
    """An account that follows a strategy now, as execution needs it."""

    account_id: AccountId
    user_id: UserId
    assignment_id: UUID
    allocation_fraction: Decimal
    risk_multiplier: Decimal


@dataclass(frozen=True, slots=True)
class AssignmentView:
    assignment_id: UUID
    strategy_id: StrategyId
    strategy_name: str
    user_id: UserId
    account_id: AccountId
    allocation_fraction: Decimal
    risk_multiplier: Decimal
    consented_at: datetime
    assigned_at: datetime
    unassigned_at: datetime | None
    reason_code: str | None


@dataclass(frozen=True, slots=True)
class SignalView:
    """One signal. Units: prices in quote per base."""

    signal_id: SignalId
    strategy_id: StrategyId
    exchange: Exchange
    symbol: str
    action: SignalAction
    reference_price: Decimal
    stop_price: Decimal | None
    take_profit_price: Decimal | None
    confidence: Decimal
    indicators: dict[str, str]
    bar_closed_at: datetime
    generated_at: datetime
    valid_until: datetime


async def strategies(sql: Sql, status: StrategyStatus | None = None) -> list[StrategyView]:
    """Return all strategies, or those of one status, oldest first."""
    return [_strategy(row) for row in await sql.fetch(_LIST, status)]


async def strategy(sql: Sql, strategy_id: StrategyId) -> StrategyView | None:
    """Return one strategy, if there is one."""
    rows = await sql.fetch(_ONE, strategy_id)
    return _strategy(rows[0]) if rows else None


async def active_strategies(sql: Sql) -> list[ActiveStrategy]:
    """Return what `StrategyHost.follow` is to run."""
    return [
        ActiveStrategy(
            view.strategy_id, view.kind, view.exchange, view.symbol, view.interval, view.parameters, view.active_from
        )
        for view in await strategies(sql, StrategyStatus.ACTIVE)
    ]


async def followers_of(sql: Sql, strategy_id: StrategyId) -> list[FollowerView]:
    """Return the accounts that follow a strategy now, by account id."""
    return [
        FollowerView(
            row["account_id"], row["user_id"], row["assignment_id"], row["allocation_fraction"], row["risk_multiplier"]
        )
        for row in await sql.fetch(_FOLLOWERS, strategy_id)
    ]


async def assignments(
    sql: Sql, user_id: UserId | None, account_id: AccountId | None = None, *, active_only: bool = True
) -> list[AssignmentView]:
    """Return who follows what, oldest first."""
    rows = await sql.fetch(_ASSIGNMENTS, user_id, account_id, active_only)
    return [_assignment(row) for row in rows]


async def signals(sql: Sql, strategy_id: StrategyId | None = None, limit: int = PAGE_ROWS) -> Sequence[SignalView]:
    """Return signals, newest first."""
    return [_signal(row) for row in await sql.fetch(_SIGNALS, strategy_id, limit)]


def _strategy(row: Row) -> StrategyView:
    return StrategyView(
        strategy_id=row["strategy_id"],
        name=row["name"],
        kind=row["kind"],
        label=KINDS[row["kind"]].label,
        exchange=Exchange(row["exchange"]),
        symbol=row["symbol"],
        interval=row["bar_interval"],
        parameters=json.loads(row["parameters"]),
        risk_per_trade_fraction=row["risk_per_trade_fraction"],
        max_leverage=row["max_leverage"],
        fee_rate=row["fee_rate"],
        config_version=row["config_version"],
        status=StrategyStatus(row["status"]),
        reason_code=row["reason_code"],
        active_from=row["active_from"],
        created_at=row["created_at"],
        followers=row["followers"],
    )


def _assignment(row: Row) -> AssignmentView:
    return AssignmentView(
        assignment_id=row["assignment_id"],
        strategy_id=row["strategy_id"],
        strategy_name=row["name"],
        user_id=row["user_id"],
        account_id=row["account_id"],
        allocation_fraction=row["allocation_fraction"],
        risk_multiplier=row["risk_multiplier"],
        consented_at=row["consented_at"],
        assigned_at=row["assigned_at"],
        unassigned_at=row["unassigned_at"],
        reason_code=row["reason_code"],
    )


def _signal(row: Row) -> SignalView:
    return SignalView(
        signal_id=row["signal_id"],
        strategy_id=row["strategy_id"],
        exchange=Exchange(row["exchange"]),
        symbol=row["symbol"],
        action=SignalAction(row["action"]),
        reference_price=row["reference_price"],
        stop_price=row["stop_price"],
        take_profit_price=row["take_profit_price"],
        confidence=row["confidence"],
        indicators=json.loads(row["indicators"]),
        bar_closed_at=row["bar_closed_at"],
        generated_at=row["generated_at"],
        valid_until=row["valid_until"],
    )
