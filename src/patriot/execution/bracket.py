"""One bracket, folded from the order events of its entry and legs, and what must happen to it next. Pure.

`next_steps` compares what is with what must be, so it is right after any event, any crash and any reconciliation:
- a position has one resting stop of exactly its size, and a target of its size beside it;
- an entry of which nothing is told has a stop too: it may have executed;
- a stop is replaced new first, so that the position is never naked in between;
- three failed stops close the position at market; while that fails, each failed try is followed by one for a stop,
  unless one of unknown fate may rest: what is at rest can be compared with the exchange;
- a flat bracket has nothing resting.
What an order's state says was executed counts at once, before the executions themselves are known.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from itertools import takewhile

from patriot.kernel.money import ZERO
from patriot.orders.events import (
    CancelReason,
    OrderAccepted,
    OrderApproved,
    OrderCanceled,
    OrderCancelRequested,
    OrderCreated,
    OrderDenied,
    OrderEvent,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderSubmissionUnknown,
    OrderSubmitted,
    OrderTriggered,
)
from patriot.trading.terms import Leg, OrderId

MAX_STOP_FAILURES = 3  # then the position is closed at market


class LegState(StrEnum):
    SENDING = "sending"
    UNKNOWN = "unknown"  # may rest or not: not counted on
    RESTING = "resting"
    TRIGGERED = "triggered"
    OVER = "over"
    FAILED = "failed"  # over without ever having rested


LIVE = frozenset({LegState.SENDING, LegState.UNKNOWN, LegState.RESTING, LegState.TRIGGERED})


@dataclass(frozen=True, slots=True)
class LegOrder:
    created: OrderCreated
    state: LegState = LegState.SENDING
    filled: Decimal = ZERO
    cancel_requested: bool = False
    ahead: bool = False  # sent while nothing was known to be held


@dataclass(frozen=True, slots=True)
class Bracket:
    """Quantities in base asset; notionals and PnL in quote asset; commissions by their own asset."""

    entry: OrderCreated | None = None
    entry_over: bool = False
    entered: Decimal = ZERO
    entered_notional: Decimal = ZERO
    exited: Decimal = ZERO
    exited_notional: Decimal = ZERO
    closed_elsewhere: Decimal = ZERO  # by somebody else, as the exchange shows
    realized_pnl: Decimal = ZERO
    commissions: dict[str, Decimal] = field(default_factory=dict)  # positive: paid
    opened_at: datetime | None = None
    last_exit: Leg | None = None
    legs: dict[tuple[Leg, int], LegOrder] = field(default_factory=dict)
    index: dict[OrderId, tuple[Leg, int]] = field(default_factory=dict)
    executed: Mapping[OrderId, Decimal] = field(default_factory=dict)  # as told by the states of orders
    presumed: Decimal = ZERO  # of an entry of which nothing is told: it may have executed so much

    @property
    def position(self) -> Decimal:
        """Return what is still held, unsigned; negative after an overfilled exit."""
        return self.entered + self._entry_ahead - self._left

    @property
    def at_stake(self) -> Decimal:
        """Return what a stop must cover: the position, or what it may have become for all that can be known."""
        presumed = ZERO if self.entry_over else self.presumed
        return max(self.entered + self._entry_ahead, presumed) - self._left

    @property
    def _left(self) -> Decimal:
        return self.exited + sum((self._ahead(key) for key in self.legs), ZERO) + self.closed_elsewhere

    @property
    def details_missing(self) -> bool:
        """Return whether more was executed than the executions known add up to."""
        return self._entry_ahead > 0 or any(self._ahead(key) > 0 for key in self.legs)

    @property
    def _entry_ahead(self) -> Decimal:
        told = self.executed.get(self.entry.order_id, ZERO) if self.entry is not None else ZERO
        return max(told - self.entered, ZERO)

    def _ahead(self, key: tuple[Leg, int]) -> Decimal:
        leg = self.legs[key]
        return max(self.executed.get(leg.created.order_id, ZERO) - leg.filled, ZERO)

    @property
    def over(self) -> bool:
        """Return whether the bracket is flat, nothing of it can still trade, and all of its executions are known."""
        live = any(leg.state in LIVE for leg in self.legs.values())
        return self.entry_over and self.position <= 0 and not live and not self.details_missing

    @property
    def at_rest(self) -> bool:
        """Return whether nothing is under way that could change the position without having been told."""
        moving = LIVE - {LegState.RESTING}
        return self.entry_over and not self.details_missing and not any(o.state in moving for o in self.legs.values())

    @property
    def closing(self) -> bool:
        """Return whether someone asked for the way out."""
        return any(leg in (Leg.CLOSE, Leg.EMERGENCY) for leg, _ in self.legs)

    def of(self, leg: Leg) -> list[LegOrder]:
        """Return the orders of one leg, oldest first."""
        return [order for (kind, _), order in sorted(self.legs.items(), key=lambda item: item[0][1]) if kind is leg]

    def next_sequence(self, leg: Leg) -> int:
        """Return the sequence of the leg's next order."""
        return max((number for kind, number in self.legs if kind is leg), default=0) + 1


def evolve(bracket: Bracket, event: OrderEvent) -> Bracket:
    """Return the bracket after an event of its entry or of one of its legs."""
    match event:
        case OrderCreated(leg=Leg.ENTRY):
            return replace(bracket, entry=event)
        case OrderCreated():
            key = (event.leg, event.sequence)
            legs = bracket.legs | {key: LegOrder(event, ahead=bracket.position <= 0)}
            return replace(bracket, legs=legs, index=bracket.index | {event.order_id: key})
        case OrderFilled():
            return _evolve_fill(bracket, event)
        case OrderApproved():
            return bracket
    if bracket.entry is not None and event.order_id == bracket.entry.order_id:
        if isinstance(event, OrderAccepted):  # also of one that was held for absent: it works after all
            return replace(bracket, entry_over=bracket.entered + bracket._entry_ahead >= bracket.entry.quantity)
        if isinstance(event, OrderRejected):  # the exchange does not have it: what seemed to be executed was not ours
            executed = {order: told for order, told in bracket.executed.items() if order != event.order_id}
            return replace(bracket, entry_over=True, executed=executed)
        over = isinstance(event, OrderDenied | OrderCanceled | OrderExpired)
        return replace(bracket, entry_over=bracket.entry_over or over)
    key = bracket.index[event.order_id]
    return replace(bracket, legs=bracket.legs | {key: _evolve_leg(bracket.legs[key], event)})


def with_executed(bracket: Bracket, order_id: OrderId, quantity: Decimal, *, over: bool) -> Bracket:
    """Return the bracket after the exchange told how much of an order is executed, whatever is known of the trades.

    `over`: the order executes no more.
    """
    told = max(quantity, bracket.executed.get(order_id, ZERO))
    bracket = replace(bracket, executed={**bracket.executed, order_id: told})
    if bracket.entry is not None and order_id == bracket.entry.order_id:
        return replace(bracket, entry_over=bracket.entry_over or over or told >= bracket.entry.quantity)
    key = bracket.index[order_id]
    leg = bracket.legs[key]
    if leg.state not in LIVE:
        return bracket
    state = LegState.OVER if over or told >= leg.created.quantity else LegState.TRIGGERED
    return replace(bracket, legs=bracket.legs | {key: replace(leg, state=state)})


def with_presumed(bracket: Bracket) -> Bracket:
    """Return the bracket when nothing tells what became of its entry: all of it may have executed."""
    return replace(bracket, presumed=bracket.entry.quantity if bracket.entry is not None else ZERO)


def _evolve_leg(leg: LegOrder, event: OrderEvent) -> LegOrder:
    if leg.state in (LegState.FAILED, LegState.OVER) and isinstance(event, OrderAccepted):
        return replace(leg, state=LegState.RESTING, cancel_requested=False)  # held for absent or over, and there
    if leg.state not in LIVE:
        return leg  # what is over stays over, whatever is still told of it
    match event:
        case OrderSubmitted():
            return replace(leg, state=LegState.SENDING)
        case OrderSubmissionUnknown():
            return replace(leg, state=LegState.UNKNOWN)
        case OrderAccepted():
            return replace(leg, state=LegState.RESTING)
        case OrderTriggered():
            return replace(leg, state=LegState.TRIGGERED)
        case OrderCancelRequested():
            return replace(leg, cancel_requested=True)
        case OrderRejected():
            return replace(leg, state=LegState.FAILED)
        case OrderCanceled() | OrderExpired() | OrderDenied():
            return replace(leg, state=LegState.OVER)
        case _:
            return leg


def _evolve_fill(bracket: Bracket, event: OrderFilled) -> Bracket:
    notional = event.quantity * event.price
    bracket = replace(
        bracket,
        realized_pnl=bracket.realized_pnl + event.realized_pnl,
        commissions=_with_commission(bracket.commissions, event),
    )
    if event.leg is Leg.ENTRY:
        entered = bracket.entered + event.quantity
        complete = bracket.entry is not None and entered >= bracket.entry.quantity
        return replace(
            bracket,
            entered=entered,
            entered_notional=bracket.entered_notional + notional,
            entry_over=bracket.entry_over or complete,
            opened_at=bracket.opened_at or event.filled_at,
        )
    key = bracket.index[event.order_id]
    leg = bracket.legs[key]
    filled = leg.filled + event.quantity
    working = leg.state if leg.state not in LIVE else LegState.TRIGGERED  # the exchange tells of executions first
    state = LegState.OVER if filled >= leg.created.quantity else working
    return replace(
        bracket,
        exited=bracket.exited + event.quantity,
        exited_notional=bracket.exited_notional + notional,
        last_exit=event.leg,
        legs=bracket.legs | {key: replace(leg, filled=filled, state=state)},
    )


def _with_commission(commissions: dict[str, Decimal], event: OrderFilled) -> dict[str, Decimal]:
    if not event.commission:
        return commissions
    return commissions | {event.commission_asset: commissions.get(event.commission_asset, ZERO) + event.commission}


@dataclass(frozen=True, slots=True)
class Open:
    """Place the next order of a leg, for this quantity."""

    leg: Leg
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel a resting leg."""

    created: OrderCreated
    reason: CancelReason


def next_steps(bracket: Bracket) -> list[Open | Cancel]:
    """Return what must be done now; empty while an answer is awaited or all is as it must be."""
    if bracket.position <= 0:
        return _clear(bracket) if bracket.entry_over else _presume(bracket)
    stops = _protect(bracket)
    if bracket.of(Leg.EMERGENCY):
        beside = [step for step in stops if isinstance(step, Cancel) or step.leg is Leg.STOP]
        unknown = any(stop.state is LegState.UNKNOWN for stop in bracket.of(Leg.STOP))  # may rest
        return ([] if unknown else beside) + _close(bracket, Leg.EMERGENCY)
    if any(isinstance(step, Open) and step.leg is Leg.EMERGENCY for step in stops):
        return stops
    if bracket.of(Leg.CLOSE):
        return stops + _close(bracket, Leg.CLOSE)
    return stops or _target(bracket)


def stop_failures(bracket: Bracket) -> int:
    """Return how many stops of a position that was known failed since one last rested: those lead out at market."""
    return sum(not stop.ahead for stop in _failed_stops(bracket))


def failures_ahead(bracket: Bracket) -> int:
    """Return how many stops that were sent ahead of their position failed since one last rested."""
    return sum(stop.ahead for stop in _failed_stops(bracket))


def _failed_stops(bracket: Bracket) -> list[LegOrder]:
    failed = (LegState.FAILED, LegState.UNKNOWN)
    return list(takewhile(lambda stop: stop.state in failed, reversed(bracket.of(Leg.STOP))))


def _presume(bracket: Bracket) -> list[Open | Cancel]:
    """Let a stop rest before its position is known: reduce-only, it does nothing where there is none."""
    return _protect(bracket) if bracket.at_stake > 0 else []


def _protect(bracket: Bracket) -> list[Open | Cancel]:
    stops = bracket.of(Leg.STOP)
    if any(stop.state in (LegState.SENDING, LegState.TRIGGERED) for stop in stops):
        return []
    covering = [stop for stop in stops if _covers(stop, bracket.at_stake)]
    if not covering:
        exits_failed = sum(one.state in (LegState.FAILED, LegState.UNKNOWN) for one in bracket.of(Leg.EMERGENCY))
        if bracket.position > 0 and stop_failures(bracket) >= MAX_STOP_FAILURES + exits_failed:
            return [Open(Leg.EMERGENCY, bracket.position)]
        return [Open(Leg.STOP, bracket.at_stake)]
    return _cancel_resting([stop for stop in stops if stop is not covering[-1]], CancelReason.RESIZED)


def _covers(order: LegOrder, quantity: Decimal) -> bool:
    return order.state is LegState.RESTING and not order.cancel_requested and order.created.quantity == quantity


def _target(bracket: Bracket) -> list[Open | Cancel]:
    entry = bracket.entry
    if entry is None or entry.take_profit_price is None:
        return []
    targets = bracket.of(Leg.TARGET)
    if any(t.state in (LegState.SENDING, LegState.TRIGGERED) for t in targets):
        return []
    covering = [t for t in targets if _covers(t, bracket.position)]
    if covering:
        return _cancel_resting([t for t in targets if t is not covering[-1]], CancelReason.RESIZED)
    if sum(1 for t in targets if t.state in (LegState.FAILED, LegState.UNKNOWN)) >= MAX_STOP_FAILURES:
        return []  # a position without a target is protected all the same
    return [Open(Leg.TARGET, bracket.position)]


def _close(bracket: Bracket, leg: Leg) -> list[Open | Cancel]:
    if any(order.state in LIVE - {LegState.UNKNOWN} for order in bracket.of(leg)):
        return []
    return [Open(leg, bracket.position)]  # reduce-only: a lost one and its successor cannot close twice


def _clear(bracket: Bracket) -> list[Open | Cancel]:
    return _cancel_resting(list(bracket.legs.values()), CancelReason.OCO_SIBLING)


def _cancel_resting(legs: list[LegOrder], reason: CancelReason) -> list[Open | Cancel]:
    return [Cancel(o.created, reason) for o in legs if o.state is LegState.RESTING and not o.cancel_requested]
