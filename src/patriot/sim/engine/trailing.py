"""The trailing stop: it follows the price from its activation on and fires when the price turns back. Pure functions.

Sources: developers.binance.com, USD-M futures, "New Algo Order" (conditions of TRAILING_STOP_MARKET, callbackRate from
0.1 to 10), bybit-exchange.github.io/docs/v5/position/trading-stop (trailing by distance), read 2026-11-22.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Final

from patriot.sim.engine import filters, refusals
from patriot.sim.engine.operations import PlaceAlgoOrder
from patriot.sim.engine.records import AlgoOrder, Instrument
from patriot.sim.engine.words import ZERO, OrderType, Side

_LOWEST_RATE, _HIGHEST_RATE = Decimal("0.1"), Decimal(10)  # percent
_PERCENT: Final = Decimal(100)


def trails(order: AlgoOrder) -> bool:
    """Whether an order follows the price."""
    return order.order_type is OrderType.TRAILING_STOP_MARKET


def check_callback(wish: PlaceAlgoOrder, working: Decimal) -> None:
    """Refuse a callback out of range, or an activation price that the working price has already passed."""
    if wish.trigger_price is not None:
        raise refusals.NOT_REQUIRED.because(parameter="triggerPrice")
    rate, distance = wish.callback_rate, wish.callback_distance
    for amount in (rate, distance):
        if amount is not None:
            filters.given(amount, "callbackRate")
    if rate is None and distance is None:
        raise refusals.MANDATORY.because(parameter="callbackRate")
    if rate is not None and not _LOWEST_RATE <= rate <= _HIGHEST_RATE:
        raise refusals.INVALID_CALLBACK.because()
    if distance is not None and not ZERO < distance < working:
        raise refusals.INVALID_CALLBACK.because()
    activation = wish.activation_price
    if activation is not None and (activation >= working if wish.side is Side.BUY else activation <= working):
        raise refusals.IMMEDIATE_TRIGGER.because()


def followed(order: AlgoOrder, working: Decimal, instrument: Instrument) -> AlgoOrder:
    """Return the order after its working price stood here: activated, its extreme and trigger price moved along.

    The same object comes back when nothing changed. The trigger price is on the tick, on the far side.
    """
    selling = order.side is Side.SELL
    if order.extreme is None:
        start = order.activation_price
        if start is not None and (working < start if selling else working > start):
            return order
    elif working <= order.extreme if selling else working >= order.extreme:
        return order
    distance = order.callback_distance
    if distance is None:
        distance = working * (order.callback_rate or ZERO) / _PERCENT
    level = working - distance if selling else working + distance
    tick = instrument.tick_size
    on_tick = level - level % tick
    if not selling and on_tick != level:
        on_tick += tick
    return replace(order, extreme=working, trigger_price=on_tick)


def follows_between(order: AlgoOrder) -> tuple[Decimal | None, Decimal | None]:
    """Return the nearest prices below and above at which the order has something to do; None: nothing on that side."""
    selling = order.side is Side.SELL
    if order.extreme is None:
        return (None, order.activation_price) if selling else (order.activation_price, None)
    return (order.trigger_price, order.extreme) if selling else (order.extreme, order.trigger_price)
