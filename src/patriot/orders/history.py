"""Reads the events of one bracket from the store: its entry's stream and those of its legs, whose ids are derived."""

from patriot.kernel.bus import decode_all
from patriot.kernel.eventstore import EventStore
from patriot.orders.client_ids import leg_order_id
from patriot.orders.events import OrderEvent, order_stream
from patriot.trading.terms import Leg, OrderId

BLOCK = 16  # numbers of a leg that are read together
_LEGS = (Leg.STOP, Leg.TARGET, Leg.CLOSE, Leg.EMERGENCY)


async def load_bracket(store: EventStore, group_id: OrderId) -> list[OrderEvent]:
    """Return every event of a bracket: the entry's first, then those of each leg in sequence.

    Numbers may be left out (`orders/desk.py open_leg`), but not so many that a block of them is empty.
    """
    events: list[OrderEvent] = decode_all(await store.read_stream(order_stream(group_id)))
    first, open_legs = 1, list(_LEGS)
    while open_legs:
        numbers = range(first, first + BLOCK)
        streams = [order_stream(leg_order_id(group_id, leg, number)) for leg in open_legs for number in numbers]
        histories = iter(await store.read_streams(streams))
        for leg in list(open_legs):
            found = [event for _, history in zip(numbers, histories, strict=False) for event in decode_all(history)]
            if not found:
                open_legs.remove(leg)
            events += found
        first += BLOCK
    return events
