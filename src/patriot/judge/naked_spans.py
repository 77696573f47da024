"""How long the exchange held a position of ours that was larger than its stops: by its own time, and by the wire's.

What a person holds beside it is not ours to protect, and what a person closed of it need not be protected any more.

The exchange's time stands still while a stepped replay answers, and then shows spans between steps only. The simulator
notes the same changes on a monotonic clock of its own; what happened before its last start has no such time, and a span
that began there is judged by the exchange's time alone.

Whoever was answered 429 or 418 must ask for nothing until the Retry-After is over, and is not to blame for what no stop
covers meanwhile: only the rest of a span counts. The simulator notes those times on both clocks.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Protocol, Self, TypeVar

from patriot.judge.exchange_books import VenueAccount, VenueOrderRecord, VenueTrade
from patriot.kernel.money import ZERO

BEFORE_START = -1  # on the wire's clock: at some time before the simulator last started


class Time(Protocol):
    """What can be put in order."""

    def __lt__(self, other: Self, /) -> bool: ...


T = TypeVar("T", bound=Time)
Change = tuple[T, Decimal, Decimal, Decimal, Decimal]  # time; bought; by us; stops of longs; of shorts


@dataclass(frozen=True, slots=True)
class NakedSpan:
    """How long a position was not covered while the exchange took orders, and while it took none."""

    seconds: Decimal
    excused_seconds: Decimal = ZERO


def naked_spans(account: VenueAccount) -> list[NakedSpan]:
    """Return each span in which a position was not covered, as either clock has it.

    What lies in a time in which the exchange had told the account to ask for nothing is excused.
    """
    spans: list[NakedSpan] = []
    for symbol in sorted({trade.symbol for trade in account.trades}):
        exchange = _spans(_by_exchange(account, symbol), account.as_of)
        spans += [less_closed(seconds_of(end - start), account, start, end) for start, end in exchange]
        wire = [one for one in _spans(_by_wire(account, symbol), account.wire_now_ms) if one[0] != BEFORE_START]
        for start, end in wire:
            closed_ms = sum(over - begun for begun, over in _within(account.wire_closed_ms, start, end))
            spans.append(NakedSpan(Decimal(end - start - closed_ms) / 1000, Decimal(closed_ms) / 1000))
    return [span for span in spans if span != NakedSpan(ZERO)]


def less_closed(seconds: Decimal, account: VenueAccount, start: datetime, end: datetime) -> NakedSpan:
    """Return how much of so many seconds without a stop, from start to end on the exchange's clock, is excused."""
    closed = sum((seconds_of(over - begun) for begun, over in _within(account.closed, start, end)), ZERO)
    return NakedSpan(max(seconds - closed, ZERO), min(closed, seconds))


def seconds_of(length: timedelta) -> Decimal:
    """Return a length of time in seconds, exactly."""
    return Decimal(length // timedelta(microseconds=1)) / 1_000_000


def _within(closed: Iterable[tuple[T, T]], start: T, end: T) -> list[tuple[T, T]]:
    """Return the parts of disjoint spans that lie between two times."""
    parts = [(max(begun, start), min(over, end)) for begun, over in closed]
    return [(begun, over) for begun, over in parts if begun < over]


def covers(order: VenueOrderRecord) -> bool:
    """Return whether an order can only get a position out at its worst: a market stop that reduces."""
    return order.order_type == "STOP_MARKET" and order.reduce_only


def _by_exchange(account: VenueAccount, symbol: str) -> list[Change[datetime]]:
    changes = [
        (trade.at, trade.signed_quantity, _by_us(account, trade), ZERO, ZERO)
        for trade in account.trades
        if trade.symbol == symbol
    ]
    for stop in account.orders:
        if stop.symbol == symbol and covers(stop):
            of_long, of_short = _covered(stop)
            changes.append((stop.created_at, ZERO, ZERO, of_long, of_short))
            if stop.status != "NEW":
                changes.append((stop.triggered_at or stop.updated_at, ZERO, ZERO, -of_long, -of_short))
    return changes


def _by_wire(account: VenueAccount, symbol: str) -> list[Change[int]]:
    changes = [
        (_or_before(trade.wire_ms), trade.signed_quantity, _by_us(account, trade), ZERO, ZERO)
        for trade in account.trades
        if trade.symbol == symbol
    ]
    for stop in account.orders:
        if stop.symbol == symbol and covers(stop):
            of_long, of_short = _covered(stop)
            changes.append((_or_before(stop.wire_placed_ms), ZERO, ZERO, of_long, of_short))
            if stop.status != "NEW":
                changes.append((_or_before(stop.wire_ended_ms), ZERO, ZERO, -of_long, -of_short))
    return changes


def _by_us(account: VenueAccount, trade: VenueTrade) -> Decimal:
    return trade.signed_quantity if account.is_ours(trade) else ZERO


def _or_before(wire_ms: int | None) -> int:
    return BEFORE_START if wire_ms is None else wire_ms


def _covered(stop: VenueOrderRecord) -> tuple[Decimal, Decimal]:
    return (stop.quantity, ZERO) if stop.side == "SELL" else (ZERO, stop.quantity)


def _spans(changes: Iterable[Change[T]], now: T) -> list[tuple[T, T]]:
    """Return when a position larger than its stops began and ended; changes of one instant count together."""
    spans: list[tuple[T, T]] = []
    held = ours = long_stops = short_stops = ZERO
    naked_since: T | None = None
    for at, together in groupby(sorted(changes, key=lambda change: change[0]), key=lambda change: change[0]):
        for _, bought, by_us, of_long, of_short in together:
            ours += by_us if by_us else _of_ours(ours, held - ours, bought)
            held += bought
            long_stops, short_stops = long_stops + of_long, short_stops + of_short
        naked = min(held, ours) > long_stops or min(-held, -ours) > short_stops
        if naked and naked_since is None:
            naked_since = at
        elif not naked and naked_since is not None:
            spans.append((naked_since, at))
            naked_since = None
    if naked_since is not None:
        spans.append((naked_since, now))
    return spans


def _of_ours(ours: Decimal, theirs: Decimal, bought: Decimal) -> Decimal:
    """Return how much of a person's execution moved our position: what is left of it when their own is flat."""
    beyond = bought - _reducing(theirs, bought)
    return _reducing(ours, beyond)


def _reducing(held: Decimal, bought: Decimal) -> Decimal:
    if held * bought >= ZERO:
        return ZERO
    return bought if abs(bought) <= abs(held) else -held
