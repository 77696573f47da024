"""What a leg of a bracket is, as a command and as a request. Pure."""

from datetime import datetime
from decimal import Decimal

from patriot.orders.client_ids import leg_order_id
from patriot.orders.commands import OpenLeg
from patriot.orders.events import OrderCreated
from patriot.trading.reports import OrderReport, VenueOrder
from patriot.trading.terms import Leg, OrderType

CONDITIONAL_LEGS = frozenset({Leg.STOP, Leg.TARGET})


def is_conditional(created: OrderCreated) -> bool:
    """Return whether an order waits on the exchange for its trigger price."""
    return created.trigger_price is not None


def venue_order(created: OrderCreated) -> VenueOrder:
    """Return the request that places an order."""
    return VenueOrder(
        client_order_id=created.client_order_id,
        symbol=created.symbol,
        side=created.side,
        order_type=created.order_type,
        quantity=created.quantity,
        reduce_only=created.reduce_only,
        price=created.price,
        trigger_price=created.trigger_price,
        time_in_force=created.time_in_force,
    )


def leg_command(entry: OrderCreated, leg: Leg, sequence: int, quantity: Decimal, at: datetime) -> OpenLeg:
    """Return the command that opens the n-th order of a leg of a bracket."""
    order_type, trigger_price = OrderType.MARKET, None
    if leg is Leg.STOP:
        order_type, trigger_price = OrderType.STOP_MARKET, entry.stop_price
    elif leg is Leg.TARGET:
        order_type, trigger_price = OrderType.TAKE_PROFIT, entry.take_profit_price
    return OpenLeg(
        order_id=leg_order_id(entry.order_id, leg, sequence),
        group_id=entry.order_id,
        leg=leg,
        sequence=sequence,
        user_id=entry.user_id,
        account_id=entry.account_id,
        strategy_id=entry.strategy_id,
        signal_id=entry.signal_id,
        exchange=entry.exchange,
        symbol=entry.symbol,
        side=entry.side.opposite,
        order_type=order_type,
        quantity=quantity,
        trigger_price=trigger_price,
        client_id_prefix=entry.client_id_prefix,
        at=at,
    )


def fits(entry: OrderCreated, held: Decimal, leg: Leg, report: OrderReport) -> bool:
    """Tell whether an order can be a leg of a bracket that held so much: whoever trades by hand can borrow our ids."""
    return (
        report.symbol == entry.symbol
        and report.side is entry.side.opposite
        and report.conditional == (leg in CONDITIONAL_LEGS)
        and 0 < report.quantity <= max(entry.quantity, held)
    )
