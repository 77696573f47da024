"""Judges a run by the laws: from the exchange's own books, the wire and the log, never from PATRIOT's memory."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from patriot.kernel.eventstore import Envelope
from patriot.kernel.projection import Recorded
from patriot.orders.client_ids import client_id_prefix, entry_order_id, parse_client_order_id
from patriot.orders.decider import ORDER, OVER
from patriot.orders.events import STREAM_TYPE, OrderCreated, OrderDenied, OrderFilled, OrderRejected
from patriot.sim.engine.events import Outcome
from patriot.sim.engine.operations import Operation, PlaceAlgoOrder, PlaceOrder
from patriot.sim.engine.venue import Venue
from patriot.sim.engine.words import AlgoStatus, OrderType
from patriot.trading.terms import AccountId, Leg, OrderId, SignalId
from tests.laws.mortal import Attempt, Witness

PROTECTED_WITHIN_SECONDS = 2.0
WAY_OUT_WITHIN_SECONDS = 10.0  # an emergency close that takes longer is no excuse any more
RECEIVE_WINDOW = timedelta(seconds=5)
# laxer than the desk: an id that PATRIOT should not have written counts too
_OURS = re.compile("(?P<prefix>p[a-z2-7]{26})(?P<leg>[estcx])(?P<sequence>[0-9]+)")
_LEGS = {"e": Leg.ENTRY, "s": Leg.STOP, "t": Leg.TARGET, "c": Leg.CLOSE, "x": Leg.EMERGENCY}
Halts = list[tuple[datetime, datetime]]


@dataclass(slots=True)
class Judge:
    """Collects what broke a law; `violations` stays empty in a good run."""

    engine: Venue
    uid: int
    account_id: AccountId
    witness: Witness
    signals: list[SignalId] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    naked_since: dict[str, float] = field(default_factory=dict)
    longest_naked: float = 0.0
    placed: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.witness.on_attempt = self.on_attempt

    def blame(self, law: int, text: str) -> None:
        entry = f"law {law}: {text}"
        if entry not in self.violations:
            self.violations.append(entry)

    # At every step of the exchange ------------------------------------------------------------------------------------

    def on_applied(self, operation: Operation, outcome: Outcome) -> None:
        """Count the orders of one intent (law 1)."""
        if outcome.refusal is not None:
            return
        match operation:
            case PlaceOrder(client_order_id=client_id) | PlaceAlgoOrder(client_algo_id=client_id):
                named = _OURS.fullmatch(client_id)
                if named is None:
                    return
                leg = _LEGS[named["leg"]]
                intent = f"{named['prefix']} {leg} {1 if leg is Leg.ENTRY else named['sequence']}"
                self.placed[intent] += 1
                if self.placed[intent] > 1:
                    self.blame(1, f"{self.placed[intent]} orders for the intent {intent}")
                if named["prefix"] not in self._prefixes():
                    self.blame(1, f"order {client_id} belongs to no signal")

    def _prefixes(self) -> set[str]:
        return {client_id_prefix(entry_order_id(signal_id, self.account_id)) for signal_id in self.signals}

    def on_attempt(self, client_id: str, attempt: Attempt) -> None:
        """Let nothing be sent again while an earlier request may have been executed (law 3)."""
        named = parse_client_order_id(client_id)
        for earlier in self.witness.attempts.get(client_id, ()):
            if earlier.outcome == "ExchangeUnavailable":
                continue
            if earlier.life != attempt.life and named is not None and named.leg is not Leg.ENTRY:
                continue  # the log may have lost it; law 1 counts whether the exchange took both
            proofs = self.witness.absences.get(client_id, ())
            if not any(proof >= earlier.sent_at + RECEIVE_WINDOW for proof in proofs):
                self.blame(3, f"{client_id} was sent again, {earlier.outcome} before and not proven absent")

    def look(self, now: float, in_step_since: float | None, leaving_since: dict[str, float]) -> None:
        """Measure how long each position has been without its stop (law 2).

        in_step_since: since when a process is at work; None: there is none, and its time does not count.
        leaving_since: symbol -> since when its emergency close is under way.
        """
        for symbol in {instrument.symbol for instrument in self.engine.instruments}:
            if not self._is_naked(symbol):
                self.naked_since.pop(symbol, None)
                continue
            since = self.naked_since.setdefault(symbol, now)
            if in_step_since is None:
                continue
            seconds = now - max(since, in_step_since)
            if symbol in leaving_since:
                if now - max(leaving_since[symbol], in_step_since) > WAY_OUT_WITHIN_SECONDS:
                    self.blame(2, f"{symbol} was still not flat {WAY_OUT_WITHIN_SECONDS} s after the emergency")
                continue
            self.longest_naked = max(self.longest_naked, seconds)
            if seconds > PROTECTED_WITHIN_SECONDS:
                self.blame(2, f"{symbol} was without its stop for more than {PROTECTED_WITHIN_SECONDS} s")

    def _is_naked(self, symbol: str) -> bool:
        held = self.engine.positions(self.uid, symbol)[0].position.quantity
        if not held:
            return False
        closing = "SELL" if held > 0 else "BUY"
        covered = max(
            (
                algo.quantity
                for algo in self.engine.open_algo_orders(self.uid, symbol)
                if algo.order_type is OrderType.STOP_MARKET
                and algo.reduce_only
                and algo.side == closing
                and parse_client_order_id(algo.client_algo_id)
            ),
            default=Decimal(0),
        )
        return covered < abs(held)

    # When all is quiet ------------------------------------------------------------------------------------------------

    def conclude(self, log: list[Envelope], foreign_before: list[object], halts: Halts) -> None:
        """Compare the log with the exchange's books (laws 1, 3, 4, 5)."""
        orders: dict[OrderId, list[object]] = {}
        for envelope in log:
            if envelope.stream.stream_type == STREAM_TYPE:
                orders.setdefault(OrderId(envelope.stream.stream_id), []).append(Recorded.of(envelope).event)
        self._compare_fills(orders)
        self._compare_fates(orders, halts)
        if self.foreign() != foreign_before:
            self.blame(4, "an order that is not ours was touched")

    def expect_flat(self, why: str) -> None:
        """Let nothing keep a position open that was told to close (law 5)."""
        for view in self.engine.positions(self.uid):
            self.blame(5, f"{view.position.symbol} still holds {view.position.quantity} although {why} it")

    def foreign(self) -> list[object]:
        """Return every order of the account that PATRIOT did not make."""
        plain = [o for o in self.engine.orders(self.uid) if parse_client_order_id(o.client_order_id) is None]
        algos = [o for o in self.engine.algo_orders(self.uid) if parse_client_order_id(o.client_algo_id) is None]
        return [*plain, *algos]

    def _compare_fills(self, orders: dict[OrderId, list[object]]) -> None:
        recorded = Counter(
            (event.trade_id, event.quantity, event.price, event.commission, event.realized_pnl)
            for events in orders.values()
            for event in events
            if isinstance(event, OrderFilled)
        )
        happened = Counter(
            (str(trade.trade_id), trade.quantity, trade.price, trade.commission, trade.realized_pnl)
            for trade in self.engine.trades(self.uid)
            if parse_client_order_id(trade.client_order_id)
        )
        if recorded != happened:
            missing, extra = happened - recorded, recorded - happened
            self.blame(4, f"fills that the log misses: {sorted(missing)}; that nobody traded: {sorted(extra)}")

    def _compare_fates(self, orders: dict[OrderId, list[object]], halts: Halts) -> None:
        known = {order.client_order_id for order in self.engine.orders(self.uid)}
        known |= {order.client_algo_id for order in self.engine.algo_orders(self.uid)}
        resting = {order.client_order_id for order in self.engine.open_orders(self.uid)}
        resting |= {order.client_algo_id for order in self.engine.open_algo_orders(self.uid)}
        refused = {o.client_algo_id for o in self.engine.algo_orders(self.uid) if o.status is AlgoStatus.REJECTED}
        recorded = set()
        for events in orders.values():
            created = events[0]
            assert isinstance(created, OrderCreated)
            client_id = created.client_order_id
            recorded.add(client_id)
            if client_id in known - refused and any(isinstance(event, OrderRejected | OrderDenied) for event in events):
                self.blame(3, f"{client_id} is rejected in the log and known to the exchange")
            order = ORDER.fold(events)  # type: ignore[arg-type]  # every event of an order stream
            if (order.status in OVER) == (client_id in resting):
                self.blame(
                    4, f"{client_id} is {order.status} in the log, resting on the exchange: {client_id in resting}"
                )
            if created.leg is Leg.ENTRY and order.status.value != "denied":
                for start, end in halts:
                    if start <= created.created_at <= end:
                        self.blame(5, f"entry {client_id} was let through while trading was halted")
        for client_id in known - recorded:
            if parse_client_order_id(client_id):
                self.blame(4, f"{client_id} is on the exchange and not in the log")
