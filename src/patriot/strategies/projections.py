"""Strategies, their followers and their signals as rows: read.strategies, read.assignments, read.signals."""

from typing import ClassVar

from patriot.kernel.codec import encode
from patriot.kernel.projection import Recorded
from patriot.kernel.sql import Sql
from patriot.strategies.events import (
    AllocationChanged,
    SignalGenerated,
    StrategyAssigned,
    StrategyConfigChanged,
    StrategyCreated,
    StrategyPaused,
    StrategyResumed,
    StrategyStatus,
    StrategyStopped,
    StrategyUnassigned,
)

_CREATE = """
    INSERT INTO read.strategies (strategy_id, name, kind, exchange, symbol, bar_interval, parameters,
        risk_per_trade_fraction, max_leverage, fee_rate, config_version, status, reason_code, active_from, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 1, 'ACTIVE', NULL, $11, $11)
    ON CONFLICT (strategy_id) DO NOTHING
"""
_CONFIGURE = """
    UPDATE read.strategies
    SET parameters = $2, risk_per_trade_fraction = $3, config_version = $4, active_from = $5 WHERE strategy_id = $1
"""
_SUSPEND = "UPDATE read.strategies SET status = $2, reason_code = $3 WHERE strategy_id = $1"
_RESUME = """
    UPDATE read.strategies SET status = 'ACTIVE', reason_code = NULL, active_from = $2 WHERE strategy_id = $1
"""
_ASSIGN = """
    INSERT INTO read.assignments (assignment_id, strategy_id, user_id, account_id, allocation_fraction,
        risk_multiplier, consented_at, assigned_at, unassigned_at, reason_code)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, NULL, NULL)
    ON CONFLICT (assignment_id) DO UPDATE
    SET allocation_fraction = $5, risk_multiplier = $6, consented_at = $7, assigned_at = $8, unassigned_at = NULL,
        reason_code = NULL
"""
_REALLOCATE = "UPDATE read.assignments SET allocation_fraction = $2, risk_multiplier = $3 WHERE assignment_id = $1"
_UNASSIGN = "UPDATE read.assignments SET unassigned_at = $2, reason_code = $3 WHERE assignment_id = $1"
_SIGNAL = """
    INSERT INTO read.signals (signal_id, strategy_id, exchange, symbol, action, reference_price, stop_price,
        take_profit_price, confidence, indicators, bar_closed_at, generated_at, valid_until)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
    ON CONFLICT (signal_id) DO NOTHING
"""


class StrategiesProjection:
    """read.strategies, read.assignments and read.signals."""

    name: ClassVar[str] = "strategies"
    tables: ClassVar[tuple[str, ...]] = ("strategies", "assignments", "signals")
    event_types: ClassVar[frozenset[str]] = frozenset(
        {
            "strategy.created",
            "strategy.config_changed",
            "strategy.paused",
            "strategy.resumed",
            "strategy.stopped",
            "strategy.assigned",
            "strategy.allocation_changed",
            "strategy.unassigned",
            "strategy.signal_generated",
        }
    )

    async def apply(self, sql: Sql, batch: list[Recorded]) -> None:
        """Write the rows of a batch of events; signals are the many, so they go in one statement."""
        signals = []
        for recorded in batch:
            if isinstance(recorded.event, SignalGenerated):
                signals.append(_signal_values(recorded.event))
            else:
                statement, *values = _change(recorded.event)
                await sql.execute(str(statement), *values)
        if signals:
            await sql.executemany(_SIGNAL, signals)


def _change(event: object) -> tuple[object, ...]:
    """Return the statement of one event, and its values."""
    match event:
        case StrategyCreated() as e:
            return (
                *(_CREATE, e.strategy_id, e.name, e.kind, e.exchange, e.symbol, e.interval, encode(e.parameters)),
                *(e.risk_per_trade_fraction, e.max_leverage, e.fee_rate, e.created_at),
            )
        case StrategyConfigChanged() as e:
            parameters = encode(e.parameters)
            return _CONFIGURE, e.strategy_id, parameters, e.risk_per_trade_fraction, e.config_version, e.changed_at
        case StrategyPaused() as e:
            return _SUSPEND, e.strategy_id, StrategyStatus.PAUSED, e.reason_code
        case StrategyStopped() as e:
            return _SUSPEND, e.strategy_id, StrategyStatus.STOPPED, e.reason_code
        case StrategyResumed() as e:
            return _RESUME, e.strategy_id, e.resumed_at
        case StrategyAssigned() as e:
            return (
                *(_ASSIGN, e.assignment_id, e.strategy_id, e.user_id, e.account_id),
                *(e.allocation_fraction, e.risk_multiplier, e.consented_at, e.assigned_at),
            )
        case AllocationChanged() as e:
            return _REALLOCATE, e.assignment_id, e.allocation_fraction, e.risk_multiplier
        case StrategyUnassigned() as e:
            return _UNASSIGN, e.assignment_id, e.unassigned_at, e.reason_code
        case _:
            raise TypeError(f"{type(event).__name__} is none of the events that this projection asked for")


def _signal_values(e: SignalGenerated) -> tuple[object, ...]:
    return (
        *(e.signal_id, e.strategy_id, e.exchange, e.symbol, e.action, e.reference_price, e.stop_price),
        *(e.take_profit_price, e.confidence, encode(e.indicators), e.bar_closed_at, e.generated_at, e.valid_until),
    )
