"""A replay of the log beside what living processes hold in memory: whoever starts anew must believe the same."""

from __future__ import annotations

from collections.abc import Sequence

from patriot.execution.worker import AccountWorker
from patriot.kernel.eventstore import Envelope
from patriot.kernel.memory import MemoryEventStore
from patriot.kernel.projection import Recorded
from patriot.orders.decider import ORDER
from patriot.orders.desk import OrderDesk
from patriot.orders.events import STREAM_TYPE
from patriot.services.execution import ExecutionService
from patriot.services.execution_fold import ExecutionFold
from patriot.simulation.judge import Judge
from patriot.trading.terms import OrderId


class Replay:
    """The states that a log gives when it is folded from its beginning."""

    def __init__(self, judge: Judge, store: MemoryEventStore, log: Sequence[Envelope]) -> None:
        self._judge = judge
        self._feed = store.feed
        self._log = [Recorded.of(envelope) for envelope in log]

    def compare(self, service: ExecutionService) -> None:
        """Blame what a service believes of followers and risk, and each of its desks of orders, beside the log."""
        replayed, known = ExecutionFold(), service._known
        for recorded in self._log:
            if not self._feed.reached(service.tail.place, recorded.envelope.place):
                break  # the tail has yet to take it
            replayed.apply(recorded.event)
        replayed.watch.halts.ready = True  # the service has read its log
        if replayed.book != known.book:
            self._judge.blame(10, f"a replay gives other followers: {replayed.book}, not {known.book}")
        if replayed.watch != known.watch:
            self._judge.blame(10, f"a replay gives another watch over risk: {replayed.watch}, not {known.watch}")
        if replayed.linked != known.linked:
            self._judge.blame(10, f"a replay gives other accounts: {replayed.linked}, not {known.linked}")
        for worker in service.workers.values():
            self._compare_orders(worker)

    def _compare_orders(self, worker: AccountWorker) -> None:
        desk = worker._desk
        if not isinstance(desk, OrderDesk):
            raise TypeError(f"expected the desk of production, found {type(desk).__name__}")
        known = desk.known._orders
        replayed = dict.fromkeys(known, ORDER.initial)
        for recorded in self._log:
            order_id = OrderId(recorded.envelope.stream.stream_id)
            if recorded.envelope.stream.stream_type == STREAM_TYPE and order_id in known:
                replayed[order_id] = ORDER.evolve(replayed[order_id], recorded.event)
        for order_id, order in known.items():
            if order != replayed[order_id]:
                self._judge.blame(10, f"order {order_id} is {order} to its desk, a replay gives {replayed[order_id]}")
