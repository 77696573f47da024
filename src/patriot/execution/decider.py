"""What is noted once: the routing of a signal, and the milestones of a position's protection. Pure."""

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import assert_never

from patriot.execution.commands import (
    CloseBracket,
    ExecutionCommand,
    ProtectionCommand,
    RecordAdjustment,
    RecordProtected,
    RecordProtectionFailed,
    RecordUnexplained,
    RequestClose,
)
from patriot.execution.events import (
    CloseRequested,
    ExecutionEvent,
    PositionAdjusted,
    PositionClosed,
    PositionProtected,
    PositionUnexplained,
    ProtectionEvent,
    ProtectionFailed,
    SignalRouted,
)
from patriot.kernel.aggregate import Decider
from patriot.kernel.money import ZERO


def _decide_routing(routed: bool, c: ExecutionCommand) -> list[ExecutionEvent]:
    return [] if routed else [SignalRouted(c.signal_id, c.strategy_id, (c.account,), c.at)]


EXECUTION: Decider[bool, ExecutionCommand, ExecutionEvent] = Decider(
    initial=False, decide=_decide_routing, evolve=lambda _state, _event: True
)


@dataclass(frozen=True, slots=True)
class Protection:
    """Which milestones a bracket has passed."""

    protected: bool = False
    close_requested: bool = False
    closed_elsewhere: Decimal = ZERO  # base asset
    unexplained: Decimal = ZERO  # of a stream that stands for such a position
    failed: bool = False
    closed: bool = False


def decide(state: Protection, command: ProtectionCommand) -> list[ProtectionEvent]:
    """Return the milestone, the first time; nothing on a repeat."""
    match command:
        case RecordProtected() as c:
            if state.protected:
                return []
            return [
                PositionProtected(c.group_id, c.account_id, c.symbol, c.first_filled_at, c.at, c.unprotected_seconds)
            ]
        case RequestClose() as c:
            if state.close_requested or state.closed:
                return []
            return [CloseRequested(c.group_id, c.account_id, c.reason_code, c.at)]
        case RecordAdjustment() as c:
            if c.closed_elsewhere <= state.closed_elsewhere:
                return []  # also of one that was over: if it lives again, what was closed of it stays closed
            return [PositionAdjusted(c.group_id, c.account_id, c.symbol, c.expected, c.found, c.closed_elsewhere, c.at)]
        case RecordUnexplained() as c:
            if c.quantity == state.unexplained:
                return []
            return [PositionUnexplained(c.account_id, c.user_id, c.symbol, c.quantity, c.at)]
        case RecordProtectionFailed() as c:
            if state.failed:
                return []
            return [ProtectionFailed(c.group_id, c.account_id, c.user_id, c.symbol, c.attempts, c.at)]
        case CloseBracket() as c:
            return [] if state.closed else [_position_closed(c)]
        case _:
            assert_never(command)


def _position_closed(c: CloseBracket) -> PositionClosed:
    return PositionClosed(
        group_id=c.group_id,
        user_id=c.user_id,
        account_id=c.account_id,
        strategy_id=c.strategy_id,
        symbol=c.symbol,
        quantity=c.quantity,
        entry_price=c.entry_price,
        exit_price=c.exit_price,
        realized_pnl=c.realized_pnl,
        commissions=c.commissions,
        close_reason=c.close_reason,
        opened_at=c.opened_at,
        closed_at=c.at,
    )


def evolve(state: Protection, event: ProtectionEvent) -> Protection:
    """Return the milestones after an event."""
    match event:
        case PositionProtected():
            return replace(state, protected=True)
        case CloseRequested():
            return replace(state, close_requested=True)
        case PositionAdjusted():
            return replace(state, closed_elsewhere=event.closed_elsewhere)
        case PositionUnexplained():
            return replace(state, unexplained=event.quantity)
        case ProtectionFailed():
            return replace(state, failed=True)
        case PositionClosed():
            return replace(state, closed=True)
        case _:
            assert_never(event)


PROTECTION: Decider[Protection, ProtectionCommand, ProtectionEvent] = Decider(Protection(), decide, evolve)
