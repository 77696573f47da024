"""Orders as one list: a conditional order and the order it made are one thing here, found by either of its ids."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote, unquote

from patriot.sim.bybit import ids, render
from patriot.sim.bybit.context import FaceContext
from patriot.sim.bybit.ids import Kind
from patriot.sim.bybit.requests import Call
from patriot.sim.engine.events import VenueRefusal
from patriot.sim.engine.records import AlgoOrder, Order

Json = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PublicOrder:
    """An order as clients know it; one of the two is there, and both once a condition has been met."""

    order: Order | None = None
    condition: AlgoOrder | None = None

    @property
    def record(self) -> Order | AlgoOrder:
        """What carries its state: the order, or the condition as long as there is no order."""
        record = self.order or self.condition
        assert record is not None  # noqa: S101 - made with at least one of them
        return record

    @property
    def order_id(self) -> str:
        return ids.order_id(self.record)

    @property
    def link_id(self) -> str:
        return ids.link_id(self.record)

    @property
    def created_ms(self) -> int:
        return self.condition.created_ms if self.condition is not None else self.record.created_ms

    @property
    def is_open(self) -> bool:
        return self.record.is_open


def row(face: FaceContext, found: PublicOrder) -> Json:
    """Return an order's row."""
    if found.order is None:
        assert found.condition is not None  # noqa: S101 - one of the two is there
        return render.conditional(found.condition)
    fee = face.ledger.fee_of(found.order.uid, found.order.order_id)
    return render.order(found.order, fee=fee, parent=found.condition)


def of_order(face: FaceContext, order: Order) -> PublicOrder:
    """Return an order together with the condition that made it."""
    if order.algo_id is None:
        return PublicOrder(order)
    return PublicOrder(order, face.exchange.venue.algo_order(order.uid, algo_id=order.algo_id))


def open_records(face: FaceContext, uid: int, symbol: str | None = None) -> list[PublicOrder]:
    """Return what is open."""
    venue = face.exchange.venue
    orders = [of_order(face, order) for order in venue.open_orders(uid, symbol)]
    return orders + [PublicOrder(None, algo) for algo in venue.open_algo_orders(uid, symbol)]


def all_records(face: FaceContext, uid: int, symbol: str | None = None) -> list[PublicOrder]:
    """Return every order ever."""
    venue = face.exchange.venue
    conditions = {algo.algo_id: algo for algo in venue.algo_orders(uid, symbol)}
    found: list[PublicOrder] = []
    for order in venue.orders(uid, symbol):
        condition = conditions.pop(order.algo_id, None) if order.algo_id is not None else None
        found.append(PublicOrder(order, condition))
    return found + [PublicOrder(None, algo) for algo in conditions.values()]


def named(face: FaceContext, call: Call) -> PublicOrder | None:
    """Return the order that orderId or orderLinkId names, orderId first; None when there is none."""
    order_id, link_id = call.text("orderId"), call.text("orderLinkId")
    if order_id is not None:
        return by_id(face, call.uid, order_id)
    return by_link(face, call.uid, link_id) if link_id is not None else None


def by_id(face: FaceContext, uid: int, order_id: str) -> PublicOrder | None:
    """Return the order of a public id."""
    decoded = ids.decode(order_id)
    if decoded is None:
        return None
    return _by_number(face, uid, *decoded)


def by_link(face: FaceContext, uid: int, link_id: str) -> PublicOrder | None:
    """Return the order of a client's own id."""
    found = face.index.of_link(uid, link_id)
    return None if found is None else _by_number(face, uid, *found)


def _by_number(face: FaceContext, uid: int, kind: Kind, number: int) -> PublicOrder | None:
    venue = face.exchange.venue
    try:
        if kind is Kind.CONDITIONAL:
            condition = venue.algo_order(uid, algo_id=number)
            if condition.actual_order_id is None:
                return PublicOrder(None, condition)
            return PublicOrder(venue.order(uid, condition.symbol, order_id=condition.actual_order_id), condition)
        symbol = face.index.symbol_of(uid, number) if kind is Kind.ORDER else None
        return None if symbol is None else PublicOrder(venue.order(uid, symbol, order_id=number))
    except VenueRefusal:
        return None


def newest_first(found: Iterable[PublicOrder]) -> list[PublicOrder]:
    """Return orders as the venue lists them."""
    return sorted(found, key=lambda one: (one.created_ms, ids.number_of(one.record)), reverse=True)


def page(items: Sequence[T], key: Callable[[T], str], limit: int, cursor: str | None) -> tuple[list[T], str]:
    """Return one page of a list and the cursor to the next one, empty at the end.

    >>> page("abcde", str, 2, None), page("abcde", str, 2, "b"), page("abcde", str, 2, "d")
    ((['a', 'b'], 'b'), (['c', 'd'], 'd'), (['e'], ''))
    """
    start = 0
    if cursor:
        asked = unquote(cursor)
        keys = (index for index, item in enumerate(items) if key(item) == asked)
        start = next(keys, len(items) - 1) + 1
    chosen = list(items[start : start + limit])
    more = start + limit < len(items)
    return chosen, quote(key(chosen[-1])) if chosen and more else ""
