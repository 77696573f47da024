"""A replay of the log beside what living processes hold in memory: whoever starts anew must believe the same."""

from __future__ import annotations

from collections.abc import Sequence

from patriot.execution.followers import BookEvent, FollowerBook
from patriot.execution.worker import AccountWorker
from patriot.kernel.eventstore import Envelope
from patriot.kernel.memory import MemoryEventStore
from patriot.kernel.projection import Recorded
from patriot.orders.decider import ORDER
from patriot.orders.desk import OrderDesk
from patriot.orders.events import STREAM_TYPE
from patriot.risk.policies import RiskWatch, WatchedEvent
from patriot.services.execution import ExecutionService
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
        book, watch = FollowerBook(), RiskWatch()
        for recorded in self._log:
            if not self._feed.reached(service.tail.place, recorded.envelope.place):
                break  # the tail has yet to take it
            if isinstance(recorded.event, BookEvent):
                book.apply(recorded.event)
            if isinstance(recorded.event, WatchedEvent):
                watch.apply(recorded.event)
        watch.halts.ready = True  # the service has read its log
        if vars(book) != vars(service._book):
            self._judge.blame(10, f"a replay gives other followers: {vars(book)}, not {vars(service._book)}")
        if watch != service._watch:
            self._judge.blame(10, f"a replay gives another watch over risk: {watch}, not {service._watch}")
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
