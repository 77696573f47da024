"""Reads the events of one bracket from the store: its entry's stream and those of its legs, whose ids are derived."""

from patriot.kernel.bus import decode_all
from patriot.kernel.eventstore import EventStore
from patriot.orders.client_ids import leg_order_id
from patriot.orders.events import OrderEvent, order_stream
from patriot.trading.terms import Leg, OrderId

_LEGS = (Leg.STOP, Leg.TARGET, Leg.CLOSE, Leg.EMERGENCY)


async def load_bracket(store: EventStore, group_id: OrderId) -> list[OrderEvent]:
    """Return every event of a bracket: the entry's first, then those of each leg in sequence."""
    events: list[OrderEvent] = decode_all(await store.read_stream(order_stream(group_id)))
    sequence = dict.fromkeys(_LEGS, 1)
    open_legs = list(_LEGS)
    while open_legs:
        streams = [order_stream(leg_order_id(group_id, leg, sequence[leg])) for leg in open_legs]
        histories = await store.read_streams(streams)
        for leg, history in zip(list(open_legs), histories, strict=True):
            if not history:
                open_legs.remove(leg)
            events += decode_all(history)
            sequence[leg] += 1
    return events
