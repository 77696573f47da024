"""What must be true when all is quiet: the log beside the exchange's books, and the log beside itself."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from patriot.execution.events import PositionClosed, SignalRouted
from patriot.kernel.bus import decode_all
from patriot.kernel.clock import to_epoch_ms
from patriot.kernel.eventstore import START, Envelope, Place
from patriot.kernel.memory import MemoryEventStore
from patriot.kernel.projection import Recorded
from patriot.orders.client_ids import parse_client_order_id
from patriot.orders.decider import ORDER, OVER
from patriot.orders.events import STREAM_TYPE, OrderApproved, OrderCreated, OrderFilled
from patriot.risk.decider import RISK
from patriot.risk.events import ExposureReleased, ExposureReserved, ReasonCode, risk_stream
from patriot.services.execution import ExecutionService
from patriot.sim.engine.words import AlgoStatus
from patriot.simulation.judge import Client, Halts, Judge
from patriot.simulation.market import SYMBOLS
from patriot.simulation.replay import Replay
from patriot.simulation.venue import SimulatedVenue
from patriot.trading.terms import Leg, OrderId

Orders = dict[OrderId, list[Any]]


class Books:
    """Compares, when all is quiet and everything was told to close."""

    def __init__(self, judge: Judge, venue: SimulatedVenue, store: MemoryEventStore) -> None:
        self._judge = judge
        self._venue = venue
        self._store = store

    async def conclude(
        self, halts: Halts, checkpoints: dict[str, Place], services: Iterable[ExecutionService] = ()
    ) -> None:
        """Blame whatever does not add up."""
        log = (await self._store.feed.read(START, 1_000_000)).events
        orders: Orders = defaultdict(list)
        written: dict[OrderId, datetime] = {}
        closed: Counter[OrderId] = Counter()
        for envelope in log:
            event = Recorded.of(envelope).event
            if envelope.stream.stream_type == STREAM_TYPE:
                orders[OrderId(envelope.stream.stream_id)].append(event)
                written.setdefault(OrderId(envelope.stream.stream_id), envelope.recorded_at)
            elif isinstance(event, PositionClosed):
                closed[event.group_id] += 1
        for client in self._judge.clients:
            mine = {key: events for key, events in orders.items() if events[0].account_id == client.account_id}
            self._compare_fills(client, mine)
            self._compare_fates(client, mine)
            self._compare_positions(client)
            self._compare_brackets(client, mine, closed)
            await self._compare_reservations(client)
        self._compare_halts(orders, written, halts)
        self._compare_closes(log)
        self._compare_checkpoints(log, checkpoints)
        replay = Replay(self._judge, self._store, log)
        for service in services:
            replay.compare(service)

    def _compare_fills(self, client: Client, orders: Orders) -> None:
        recorded = Counter(
            (event.trade_id, event.quantity, event.price, event.commission, event.realized_pnl)
            for events in orders.values()
            for event in events
            if isinstance(event, OrderFilled)
        )
        happened = Counter(
            (str(trade.trade_id), trade.quantity, trade.price, trade.commission, trade.realized_pnl)
            for trade in self._venue.engine.trades(client.uid)
            if parse_client_order_id(trade.client_order_id)
        )
        if recorded != happened:
            missing, extra = happened - recorded, recorded - happened
            self._judge.blame(
                4, f"account {client.uid}: fills the log misses: {sorted(missing)}; that nobody traded: {sorted(extra)}"
            )

    def _compare_halts(self, orders: Orders, written: dict[OrderId, datetime], halts: Halts) -> None:
        """Let no entry be approved in a halt, by the time of the store: clocks of processes may be off."""
        for order_id, events in orders.items():
            approved = events[0].leg is Leg.ENTRY and any(isinstance(event, OrderApproved) for event in events)
            if approved and any(start <= written[order_id] <= end for start, end in halts):
                self._judge.blame(5, f"entry {events[0].client_order_id} was approved while trading was halted")

    def _compare_closes(self, log: Iterable[Envelope]) -> None:
        """Let no strategy's close be told to find nothing where the exchange held a position of ours all the while."""
        for envelope in log:
            event = Recorded.of(envelope).event
            if not isinstance(event, SignalRouted) or event.signal_id not in self._judge.meant:
                continue
            symbol, meant_at = SYMBOLS[event.strategy_id], self._judge.meant[event.signal_id]
            dropped = {one.account_id for one in event.accounts if one.reason_code == ReasonCode.NO_POSITION}
            for client in self._judge.clients:
                if client.account_id in dropped and self._stood(client.uid, symbol, meant_at, envelope.recorded_at):
                    self._judge.blame(
                        5, f"account {client.uid} held {symbol}, and a close of its strategy was told to find nothing"
                    )

    def _stood(self, uid: int, symbol: str, start: datetime, end: datetime) -> bool:
        """Tell whether a position of ours stood from one time to another, without a moment in between."""
        held = ours = Decimal(0)
        stood = False
        for trade in self._venue.engine.trades(uid, symbol):
            if trade.at_ms > to_epoch_ms(end):
                break
            if trade.at_ms > to_epoch_ms(start) and not stood:
                return False
            signed = trade.quantity if trade.side == "BUY" else -trade.quantity
            held += signed
            ours += signed if parse_client_order_id(trade.client_order_id) else 0
            stood = held * ours > 0
        return stood

    def _compare_fates(self, client: Client, orders: Orders) -> None:
        engine, judge = self._venue.engine, self._judge
        plain, algos = engine.orders(client.uid), engine.algo_orders(client.uid)
        resting = {order.client_order_id for order in engine.open_orders(client.uid)}
        resting |= {order.client_algo_id for order in engine.open_algo_orders(client.uid)}
        known = {order.client_order_id for order in plain} | {order.client_algo_id for order in algos}
        refused = {order.client_algo_id for order in algos if order.status is AlgoStatus.REJECTED}
        recorded = set()
        for events in orders.values():
            created = events[0]
            client_id = created.client_order_id
            recorded.add(client_id)
            order = ORDER.fold(events)
            if client_id in known - refused and order.status.value in ("rejected", "denied"):
                judge.blame(3, f"{client_id} is {order.status} in the log and known to the exchange")
            if (order.status in OVER) == (client_id in resting):
                judge.blame(
                    4, f"{client_id} is {order.status} in the log, on the exchange it rests: {client_id in resting}"
                )
        for client_id in sorted(known - recorded):
            if parse_client_order_id(client_id):
                judge.blame(4, f"{client_id} is on the exchange and not in the log")
        for client_id in sorted(resting):
            if parse_client_order_id(client_id):
                judge.blame(4, f"{client_id} rests on the exchange for a bracket that is over")

    def _compare_positions(self, client: Client) -> None:
        for view in self._venue.engine.positions(client.uid):
            if view.position.quantity and self._judge.ours(client.uid, view.position.symbol):
                self._judge.blame(
                    5, f"account {client.uid} still holds {view.position.quantity} {view.position.symbol} after the end"
                )

    def _compare_brackets(self, client: Client, orders: Orders, closed: Counter[OrderId]) -> None:
        filled: dict[OrderId, Decimal] = {}
        for events in orders.values():
            created = events[0]
            if isinstance(created, OrderCreated) and created.leg is Leg.ENTRY:
                filled[created.order_id] = ORDER.fold(events).filled
        for group_id, quantity in filled.items():
            expected = 1 if quantity > 0 else 0
            if closed[group_id] != expected:
                self._judge.blame(
                    8,
                    f"account {client.uid}: bracket {group_id}, of which {quantity} was entered, "
                    f"has {closed[group_id]} times PositionClosed",
                )

    async def _compare_reservations(self, client: Client) -> None:
        events = decode_all(await self._store.read_stream(risk_stream(client.account_id)))
        for group_id in RISK.fold(events).reserved:
            self._judge.blame(8, f"account {client.uid}: exposure is still reserved for {group_id}, which is over")
        taken = Counter(event.order_id for event in events if isinstance(event, ExposureReserved))
        given = Counter(event.order_id for event in events if isinstance(event, ExposureReleased))
        for group_id in given - taken:
            self._judge.blame(8, f"account {client.uid}: exposure of {group_id} was released more often than reserved")

    def _compare_checkpoints(self, log: list[Envelope], checkpoints: dict[str, Place]) -> None:
        head = log[-1].place if log else START
        for name, place in checkpoints.items():
            if not self._store.feed.reached(head, place):
                self._judge.blame(10, f"checkpoint {name} stands at {place}, the log ends at {head}")
