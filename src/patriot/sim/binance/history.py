"""How far back the venue looks, and the holes in what it still knows.

Source: USD-M Futures, notes of "All Orders", "Query All Algo Orders", "Account Trade List", "Get Income History", read
2026-11-22.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from patriot.sim.binance import refusals
from patriot.sim.binance.requests import DAY_MS, Call
from patriot.sim.engine.events import VenueRefusal
from patriot.sim.engine.records import AlgoOrder, Order
from patriot.sim.engine.words import AlgoStatus, OrderStatus

UNFILLED_KEPT_MS = 3 * DAY_MS  # an order that ended without any fill, from its creation
ORDERS_KEPT_MS = 90 * DAY_MS  # every order, from its creation
TRADES_KEPT_MS = 180 * DAY_MS  # six months
INCOME_KEPT_MS = 90 * DAY_MS  # three months
AMENDMENTS_KEPT_MS = 90 * DAY_MS  # three months
WINDOW_MS = 7 * DAY_MS  # between startTime and endTime, and what is shown where neither is sent

_ENDED = (
    OrderStatus.CANCELED,
    OrderStatus.EXPIRED,
    OrderStatus.EXPIRED_IN_MATCH,
    AlgoStatus.CANCELED,
    AlgoStatus.EXPIRED,
    AlgoStatus.REJECTED,
)
R = TypeVar("R")


def has_vanished(record: Order | AlgoOrder, now_ms: int) -> bool:
    """Whether the venue answers as if this order had never been."""
    age_ms = now_ms - record.created_ms
    if age_ms <= UNFILLED_KEPT_MS or record.is_open:
        return False
    filled = record.filled_quantity if isinstance(record, Order) else record.actual_quantity
    return age_ms > ORDERS_KEPT_MS or (record.status in _ENDED and not filled)


@dataclass(frozen=True, slots=True)
class Page:
    """Which rows of a history are asked for: from an id on, or a span of time; the newest where no start is named."""

    from_id: int | None
    start_ms: int | None
    end_ms: int | None
    limit: int
    oldest_first: bool

    @classmethod
    def of_orders(cls, call: Call, now_ms: int, id_name: str) -> "Page":
        """Read a page of orders: from an id on, or at most seven days, by default the last ones."""
        from_id = call.integer(id_name)
        asked = call.text("startTime") is not None
        start: int | None
        start, end = window(call, now_ms, ORDERS_KEPT_MS)
        if from_id is not None and not asked and call.text("endTime") is None:
            start = end = None
        return cls(from_id, start, end, call.limit(500, 1000), from_id is not None or asked)

    @classmethod
    def of_trades(cls, call: Call, now_ms: int) -> "Page":
        """Read a page of trades: from an id on, or at most seven days, by default the last ones."""
        from_id = call.integer("fromId")
        timed = call.text("startTime") is not None or call.text("endTime") is not None
        if from_id is not None and timed:
            raise VenueRefusal(*refusals.BAD_COMBINATION)
        start, end = window(call, now_ms, TRADES_KEPT_MS)
        if from_id is not None:
            start, end = now_ms - TRADES_KEPT_MS, None
        oldest_first = from_id is not None or call.text("startTime") is not None
        return cls(from_id, start, end, call.limit(500, 1000), oldest_first)

    def cut(self, rows: Iterable[R], id_of: Callable[[R], int], time_of: Callable[[R], int]) -> list[R]:
        """Return the rows of the page, in the order they came in."""
        found = [
            row
            for row in rows
            if (self.from_id is None or id_of(row) >= self.from_id)
            and (self.start_ms is None or time_of(row) >= self.start_ms)
            and (self.end_ms is None or time_of(row) <= self.end_ms)
        ]
        return found[: self.limit] if self.oldest_first else found[-self.limit :]


def window(call: Call, now_ms: int, kept_ms: int) -> tuple[int, int | None]:
    """Return start and end of the span asked for: seven days at most, cut to what is kept.

    Errors: VenueRefusal -1023, -4165.
    """
    start, end = call.time_range(WINDOW_MS)
    if start is None:
        start = (now_ms if end is None else end) - WINDOW_MS
    elif end is None:
        end = start + WINDOW_MS
    return max(start, now_ms - kept_ms), end
