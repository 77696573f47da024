"""What ends because its time has come: GTD orders, and all orders of a symbol whose countdown ran out.

Sources: developers.binance.com, USD-M futures, "New Order" (goodTillDate), "Auto-Cancel All Open Orders", read
2026-11-22. A countdown cancels as "Cancel All Open Orders" does: conditional orders stay.
"""

from __future__ import annotations

from dataclasses import replace

from patriot.sim.engine import matching
from patriot.sim.engine.account import Account
from patriot.sim.engine.deadlines import Due
from patriot.sim.engine.floor import Floor
from patriot.sim.engine.operations import PassTime, SetCountdown
from patriot.sim.engine.records import Countdown, Order
from patriot.sim.engine.words import AlgoStatus, OrderStatus


def set_countdown(floor: Floor, account: Account, wish: SetCountdown) -> Countdown:
    """Start, restart or stop the countdown of an account and symbol."""
    floor.market(wish.symbol)
    deadline = (Due.COUNTDOWN, account.uid, wish.symbol)
    if wish.due_ms > 0:
        floor.deadlines.set(deadline, wish.due_ms)
    else:
        floor.deadlines.drop(deadline)
    return Countdown(wish.symbol, max(wish.due_ms, 0))


def pass_time(floor: Floor, _: PassTime) -> tuple[Order, ...]:
    """End what is due by now; return the orders that ended."""
    ended: list[Order] = []
    for due, uid, name in floor.deadlines.pop_due(floor.now_ms):
        account = floor.accounts[uid]
        if due is Due.COUNTDOWN:
            ended += [matching.cancel(floor, account, order) for order in account.orders_in(name)]
        elif due is Due.ORDER and (order := account.open_orders.get(int(name))) is not None:
            expired = floor.end_order(account, order, OrderStatus.EXPIRED)
            floor.finish_parent(account, expired)
            ended.append(expired)
        elif due is Due.ALGO_ORDER and (algo := account.open_algo_orders.get(int(name))) is not None:
            floor.store_algo(account, replace(algo, status=AlgoStatus.EXPIRED, updated_ms=floor.now_ms))
            floor.refresh_interest(account)
    return tuple(ended)
