"""The resting orders of one symbol, by price and then time. Whose they are and what they may do is not known here."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from decimal import Decimal

from patriot.sim.engine.records import Order
from patriot.sim.engine.words import Side

_Place = tuple[Decimal, int, int]  # price (negated for a buyer), priority, order id: the lowest is met first


def _place(order: Order) -> _Place:
    return (-order.price if order.side is Side.BUY else order.price), order.priority, order.order_id


def is_met(order: Order, last: Decimal, bid: Decimal, ask: Decimal) -> bool:
    """Whether a move met a resting order: the last price went through it, or the new touch would cross it."""
    if order.side is Side.BUY:
        return last < order.price or ask <= order.price
    return last > order.price or bid >= order.price


class Book:
    """Mutable; holds the newest state of every resting order."""

    __slots__ = ("_queues", "orders")

    def __init__(self) -> None:
        self.orders: dict[int, Order] = {}
        self._queues: dict[Side, list[_Place]] = {Side.BUY: [], Side.SELL: []}

    def rest(self, order: Order) -> None:
        """Let an order rest; one that rests already changes place when its price or priority did."""
        self.remove(order.order_id)
        self.orders[order.order_id] = order
        insort(self._queues[order.side], _place(order))

    def update(self, order: Order) -> bool:
        """Take the new state of an order if it rests here, and let it go when it is closed; whether it rested."""
        if order.order_id not in self.orders:
            return False
        if order.is_open:
            self.orders[order.order_id] = order
        else:
            self.remove(order.order_id)
        return True

    def remove(self, order_id: int) -> None:
        """Let an order go that rests here, or none."""
        order = self.orders.pop(order_id, None)
        if order is not None:
            queue = self._queues[order.side]
            del queue[bisect_left(queue, _place(order))]

    def queue(self, side: Side) -> Iterator[Order]:
        """Yield the orders of a side, first in turn first. The book must not change meanwhile."""
        for place in self._queues[side]:
            yield self.orders[place[2]]

    def stands_at(self, bid: Decimal, ask: Decimal) -> bool:
        """Whether an order stands at this touch or within it, so that the first public level is not the house's."""
        if not self.orders:
            return False
        buys, sells = self._queues[Side.BUY], self._queues[Side.SELL]
        return bool((buys and -buys[0][0] >= bid) or (sells and sells[0][0] <= ask))

    def met_by(self, last: Decimal, bid: Decimal, ask: Decimal) -> list[Order]:
        """Return the orders that a move met, those of each side in turn."""
        met: list[Order] = []
        for queue in self._queues.values():
            for _, _, order_id in queue:
                order = self.orders[order_id]
                if not is_met(order, last, bid, ask):
                    break
                met.append(order)
        return met
