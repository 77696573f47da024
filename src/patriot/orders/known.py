"""The orders of one account's brackets as its desk knows them: folded in memory with the same decider as the log."""

from collections import deque
from collections.abc import Container, Iterable
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from patriot.kernel.eventstore import SYSTEM, Actor, ActorType
from patriot.orders.client_ids import LegId, client_id_prefix, leg_order_id, parse_client_order_id
from patriot.orders.commands import OrderCommand
from patriot.orders.decider import ORDER, OVER, UNSENT, WORKING, Order
from patriot.orders.events import OrderAccepted, OrderCreated, OrderEvent, OrderFilled
from patriot.orders.journal import Journal
from patriot.trading.terms import Leg, OrderId

REMEMBERED_BRACKETS = 20
REMEMBERED_CLIENT_IDS = 1_000  # of orders that are not ours, or that no bracket explains


class OrderListener(Protocol):
    """Who is told of an account's orders at once (`execution/effects.py`)."""

    def observe(self, event: OrderEvent) -> None:
        """Take an order event."""
        ...

    def observe_executed(self, order_id: OrderId, quantity: Decimal, *, over: bool) -> None:
        """Take how much of an order is executed, ahead of the executions themselves; `over`: it executes no more."""
        ...

    def observe_untold(self, entry_id: OrderId) -> None:
        """Take that nothing tells what became of an entry."""
        ...


class KnownOrders:
    """What is known of every order of open brackets, and of the newest that are over.

    A command is decided here first, so that protection never waits for the database, and is made durable in the same
    order by the account's one writer.
    """

    def __init__(self, journal: Journal, listener: OrderListener) -> None:
        self.strays: list[str] = []  # client ids of ours that no open bracket here explains
        self.foreign: set[str] = set()  # client ids of resting orders that are not ours: seen, never touched
        self.contested: set[str] = set()  # client ids that the exchange does not know and its books speak for
        self.sending: set[OrderId] = set()
        self._journal = journal
        self._listener = listener
        self._orders: dict[OrderId, Order] = {}
        self._accepted_at: dict[OrderId, datetime] = {}
        self._by_venue_id: dict[str, OrderId] = {}
        self._entries: dict[str, OrderCreated] = {}  # prefix of the client ids -> the bracket's entry
        self._open: dict[str, None] = {}  # of those prefixes, the brackets that are not over
        self._closed: list[OrderId] = []
        self._newest_foreign: deque[str] = deque()

    # Changing it

    def decide(self, command: OrderCommand) -> None:
        """Take a command that PATRIOT gives itself, and have it written."""
        self._apply(command, SYSTEM)

    def record(self, command: OrderCommand) -> None:
        """Take what the exchange says, and have it written."""
        self._apply(command, Actor(ActorType.EXCHANGE, self.created(command.order_id).exchange))

    def _apply(self, command: OrderCommand, actor: Actor) -> None:
        events = ORDER.decide(self._orders.get(command.order_id, ORDER.initial), command)
        if events:
            self._journal.put(command, actor)
        self.adopt(events)

    async def decide_durably(self, command: OrderCommand) -> None:
        """Take a command of PATRIOT's once it is written."""
        events = ORDER.decide(self[command.order_id], command)
        await self._journal.written(command, SYSTEM)
        self.adopt(events)

    def adopt(self, events: Iterable[OrderEvent]) -> None:
        """Take events: of an entry just placed, or of open brackets at a start."""
        for event in events:
            self._take(event)

    def _take(self, event: OrderEvent) -> None:
        order = ORDER.evolve(self._orders.get(event.order_id, ORDER.initial), event)
        self._orders[event.order_id] = order
        for venue_id in order.venue_order_ids[-1:]:
            self._by_venue_id[venue_id] = event.order_id
        if isinstance(event, OrderAccepted):
            self._accepted_at[event.order_id] = event.accepted_at
        if isinstance(event, OrderCreated) and event.leg is Leg.ENTRY:
            self._entries[event.client_id_prefix] = event
            self._open[event.client_id_prefix] = None
        self._open_again(order, event)
        self._listener.observe(event)

    def _open_again(self, order: Order, event: OrderEvent) -> None:
        """Look after a bracket again of which an order that was declared over works or has traded."""
        if order.created is None or order.created.group_id not in self._closed:
            return
        if isinstance(event, OrderAccepted) or (isinstance(event, OrderFilled) and event.leg is Leg.ENTRY):
            self._closed.remove(order.created.group_id)
            self._open[order.created.client_id_prefix] = None

    def tell_executed(self, order_id: OrderId, quantity: Decimal, *, over: bool) -> None:
        """Pass on how much of an order is executed: what must follow does not wait for the executions themselves."""
        self._listener.observe_executed(order_id, quantity, over=over)

    def tell_untold(self, entry_id: OrderId) -> None:
        """Pass on that nothing tells what became of an entry."""
        self._listener.observe_untold(entry_id)

    def forget(self, group_id: OrderId) -> None:
        """Stop looking after a bracket that is over; the newest are remembered, for the reports that still come."""
        self._open.pop(client_id_prefix(group_id), None)
        self._closed.append(group_id)
        if len(self._closed) <= REMEMBERED_BRACKETS:
            return
        oldest = self._closed.pop(0)
        self._entries.pop(client_id_prefix(oldest), None)
        for order_id, order in list(self._orders.items()):
            if order.created is not None and order.created.group_id == oldest:
                del self._orders[order_id]
                self._accepted_at.pop(order_id, None)
                for venue_id in order.venue_order_ids:
                    self._by_venue_id.pop(venue_id, None)

    def exit_traded(self, group_id: OrderId) -> bool:
        """Return whether an order that reduces a bracket's position has traded: then there was a position."""
        return any(
            order.filled > 0
            for order in self._orders.values()
            if order.created is not None and order.created.group_id == group_id and order.created.reduce_only
        )

    def name_venue_id(self, venue_order_id: str, order_id: OrderId) -> None:
        """Take an id of the exchange's own, of an order or of what a conditional one became: its executions name it."""
        self._by_venue_id[venue_order_id] = order_id

    def note_stray(self, client_id: str) -> None:
        """Remember a client id of ours that no bracket here explains."""
        self.strays = [*self.strays, client_id][-REMEMBERED_CLIENT_IDS:]

    def note_foreign(self, client_id: str) -> None:
        """Remember an order that is not ours."""
        if client_id in self.foreign:
            return
        self.foreign.add(client_id)
        self._newest_foreign.append(client_id)
        if len(self._newest_foreign) > REMEMBERED_CLIENT_IDS:
            self.foreign.discard(self._newest_foreign.popleft())

    # Asking it

    def __contains__(self, order_id: OrderId) -> bool:
        return order_id in self._orders

    def __getitem__(self, order_id: OrderId) -> Order:
        return self._orders[order_id]

    def created(self, order_id: OrderId) -> OrderCreated:
        """Return how an order was created. Errors: LookupError if it was not."""
        created = self._orders[order_id].created
        if created is None:
            raise LookupError(f"order {order_id} has no creation")
        return created

    def accepted_at(self, order_id: OrderId) -> datetime:
        """Return when the exchange last accepted an order, or when it was created."""
        return self._accepted_at.get(order_id) or self.created(order_id).created_at

    def is_known(self, client_id: str) -> bool:
        """Return whether a client id names an order that is known here."""
        named = parse_client_order_id(client_id)
        entry = self._entries.get(named.prefix) if named is not None else None
        if named is None or entry is None:
            return False
        return leg_order_id(entry.order_id, named.leg, named.sequence) in self._orders

    def entry_of(self, leg: LegId) -> OrderCreated | None:
        """Return the entry of the bracket that a client id names, if it is remembered."""
        return self._entries.get(leg.prefix)

    def by_venue_id(self, venue_order_id: str) -> OrderCreated | None:
        """Return the order that the exchange gave an id to."""
        order_id = self._by_venue_id.get(venue_order_id)
        return None if order_id is None else self.created(order_id)

    def next_sequence(self, entry: OrderCreated, leg: Leg) -> int:
        """Return the number of the next order of a leg."""
        sequence = 1
        while leg_order_id(entry.order_id, leg, sequence) in self._orders:
            sequence += 1
        return sequence

    def open_entries(self) -> list[OrderCreated]:
        """Return the entries of the brackets that are not over."""
        return [self._entries[prefix] for prefix in self._open]

    def open_symbols(self) -> list[str]:
        """Return each symbol with an open bracket once, those with a position and no resting stop first."""
        entries = sorted(self.open_entries(), key=self._is_covered)
        return list(dict.fromkeys(entry.symbol for entry in entries))

    def is_covered(self, symbol: str, listed: Container[str]) -> bool:
        """Return whether every bracket on a symbol has a stop on the list of what rests, or no position, it seems."""
        return all(self._is_covered(entry, listed) for entry in self.open_entries() if entry.symbol == symbol)

    def _is_covered(self, entry: OrderCreated, listed: Container[str] | None = None) -> bool:
        """Return whether a bracket has no position, or a stop that works, as far as is known or listed."""
        if self._orders[entry.order_id].filled == 0 and self._orders[entry.order_id].status in UNSENT:
            return True
        return any(
            order.status in WORKING and (listed is None or order.created.client_order_id in listed)
            for order in self._orders.values()
            if order.created is not None and order.created.group_id == entry.order_id and order.created.leg is Leg.STOP
        )

    def under_way(self, symbol: str) -> list[OrderCreated]:
        """Return the orders of a symbol that are not over and not being sent."""
        return [
            order.created
            for order_id, order in self._orders.items()
            if order.created is not None
            and order.created.symbol == symbol
            and order.status not in OVER
            and order_id not in self.sending
        ]

    def working(self, symbol: str) -> list[OrderCreated]:
        """Return the orders of a symbol that work on the exchange, as far as is known."""
        return [
            order.created
            for order_id, order in self._orders.items()
            if order.created is not None
            and order.created.symbol == symbol
            and order.status in WORKING
            and order_id not in self.sending
        ]
