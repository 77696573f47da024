"""Every signal reached every follower: each has an order or a reason, and each entry belongs to a sent share."""

from collections.abc import Callable, Iterator

from patriot.execution.events import Routing
from patriot.judge.case import Case
from patriot.kernel.eventstore import Place
from patriot.orders.events import OrderCreated
from patriot.trading.terms import Leg, SignalId

Handled = Callable[[Place], bool]  # whether the reader that routes signals has passed a place in the log


def everything(_: Place) -> bool:
    """Say of every place that it was handled: a run at rest has nothing left to do."""
    return True


def signals_reached_followers(case: Case, handled: Handled = everything) -> list[str]:
    """Return followers without a record of what became of a signal, and entries that no record sent.

    A signal that waits to be routed, by `handled`, may have followers without a record.
    """
    waiting = {signal_id for signal_id, place in case.log.signals.items() if not handled(place)}
    problems = [
        f"signal {signal_id}: nothing says what became of it on account {account_id}"
        for signal_id, followers in case.log.followers.items()
        for account_id in followers
        if signal_id not in waiting and (signal_id, account_id) not in case.log.routed
    ]
    for signal_id, entry in _entries(case):
        share = case.log.routed.get((signal_id, entry.account_id))
        if signal_id not in case.log.signals:
            problems.append(f"{entry.client_order_id}: an entry of a signal that the log does not hold")
        elif share is None and signal_id not in waiting:
            problems.append(f"{entry.client_order_id}: an entry that was never routed")
        elif share is not None and entry.order_id in case.log.approved:
            if share.routing is not Routing.SENT or share.order_id != entry.order_id:
                problems.append(f"{entry.client_order_id}: an entry that went out, recorded as {share.routing}")
        elif share is not None and share.routing is Routing.SENT:
            problems.append(f"{entry.client_order_id}: refused by risk, and recorded as sent")
    return problems


def _entries(case: Case) -> Iterator[tuple[SignalId, OrderCreated]]:
    for created in case.log.intents.values():
        if created.leg is Leg.ENTRY and created.signal_id is not None:
            yield created.signal_id, created
