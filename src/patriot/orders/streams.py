"""Which stream each order command goes to, and risk as the gate of PlaceOrder."""

from dataclasses import replace
from typing import Any

from patriot.kernel.aggregate import Decider
from patriot.kernel.bus import CommandBus, Gate, Handler
from patriot.orders.commands import OrderCommand, PlaceOrder
from patriot.orders.decider import ORDER
from patriot.orders.events import order_stream
from patriot.risk.commands import ReserveExposure
from patriot.risk.events import risk_stream


def _reserve(c: PlaceOrder) -> ReserveExposure:
    return ReserveExposure(
        account_id=c.account_id,
        order_id=c.order_id,
        strategy_id=c.strategy_id,
        symbol=c.symbol,
        notional=c.quantity * c.reference_price,
        risk=c.risk,
        limits=c.limits,
        halt=c.halt,
        at=c.at,
    )


def _admit(c: PlaceOrder, verdicts: list[Any]) -> PlaceOrder:
    return replace(c, verdict=verdicts[0]) if verdicts else c


def register(bus: CommandBus, risk: Decider[Any, Any, Any]) -> None:
    """Register every order command; `risk` is the decider that guards entries."""
    gate: Gate[PlaceOrder] = Gate(
        stream_of=lambda c: risk_stream(c.account_id), decider=risk, command_of=_reserve, admit=_admit
    )
    bus.handle(PlaceOrder, Handler(lambda c: order_stream(c.order_id), ORDER, gate, lambda c: c.at))
    for command_type in OrderCommand.__args__:
        if command_type is not PlaceOrder:
            bus.handle(command_type, Handler(lambda c: order_stream(c.order_id), ORDER, None, lambda c: c.at))
