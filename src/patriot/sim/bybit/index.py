"""Where each account's orders are: by the number behind their public id, and by the client's own id.

The engine finds an order only beside its symbol; this reads an account's orders once and keeps up as new ones are told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from patriot.sim.bybit import ids
from patriot.sim.bybit.ids import Kind
from patriot.sim.engine.events import AlgoOrderUpdated, OrderUpdated, VenueEvent
from patriot.sim.engine.records import AlgoOrder, Order
from patriot.sim.engine.words import AlgoStatus, ExecutionType
from patriot.sim.exchange import Exchange


@dataclass(slots=True)
class _Places:
    symbols: dict[int, str] = field(default_factory=dict)  # by order number
    conditions: set[int] = field(default_factory=set)  # numbers of conditional orders
    links: dict[str, tuple[Kind, int]] = field(default_factory=dict)  # the newest of a client id

    def add(self, record: Order | AlgoOrder) -> None:
        if isinstance(record, Order):
            self.symbols[record.order_id] = record.symbol
        else:
            self.conditions.add(record.algo_id)
        link = ids.link_id(record)
        if link:
            conditional = isinstance(record, AlgoOrder) or record.algo_id is not None
            self.links[link] = (Kind.CONDITIONAL if conditional else Kind.ORDER, ids.number_of(record))


class OrderIndex:
    """Orders of every account of one exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._places: dict[int, _Places] = {}

    def note(self, events: Sequence[VenueEvent]) -> None:
        """Keep up with what just happened."""
        for event in events:
            match event:
                case OrderUpdated(execution_type=ExecutionType.NEW):
                    record: Order | AlgoOrder = event.order
                case AlgoOrderUpdated() if event.order.status is AlgoStatus.NEW:
                    record = event.order
                case _:
                    continue
            places = self._places.get(record.uid)
            if places is not None:
                places.add(record)

    def symbol_of(self, uid: int, order_id: int) -> str | None:
        """Return the symbol of an order of the engine's number, None when the account has none of it."""
        return self._of(uid).symbols.get(order_id)

    def of_link(self, uid: int, link_id: str) -> tuple[Kind, int] | None:
        """Return what a client's own id names."""
        return self._of(uid).links.get(link_id)

    def count(self, uid: int) -> int:
        """Return how many orders and conditions an account ever had."""
        places = self._of(uid)
        return len(places.symbols) + len(places.conditions)

    def _of(self, uid: int) -> _Places:
        places = self._places.get(uid)
        if places is None:
            places = self._places[uid] = _Places()
            venue = self._exchange.venue
            records: list[Order | AlgoOrder] = [*venue.algo_orders(uid), *venue.orders(uid)]
            for record in sorted(records, key=lambda one: one.created_ms):
                places.add(record)
        return places
