"""What goes on around the accounts: prices, strategies that speak, and a person with the same keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from uuid import UUID

from patriot.accounts.events import AccountLinked, PositionMode, account_stream
from patriot.kernel.codec import EVENTS, encode
from patriot.kernel.eventstore import Context, NewEvent, StreamAppend, StreamKey
from patriot.kernel.ids import Ids, derived_id
from patriot.kernel.memory import MemoryEventStore
from patriot.orders.client_ids import parse_client_order_id
from patriot.sim.engine import operations
from patriot.sim.engine.words import MarginType, OrderType, Side, TimeInForce
from patriot.simulation.faults import Fault
from patriot.simulation.judge import MAX_LEVERAGE, Client
from patriot.simulation.loop import START
from patriot.simulation.venue import SimulatedVenue
from patriot.strategies.events import SignalAction, SignalGenerated, StrategyAssigned, StrategyCreated
from patriot.trading.terms import Environment, Exchange, SignalId, StrategyId, UserId

D = Decimal
SYMBOLS = {StrategyId(UUID(int=21)): "BTCUSDT", StrategyId(UUID(int=22)): "ETHUSDT"}
STRATEGY_STREAM = "STRATEGY"
THEIR_SYMBOL = "SOLUSDT"  # that no strategy trades


class Scribe:
    """Writes events of other services straight into the log."""

    def __init__(self, store: MemoryEventStore, ids: Ids) -> None:
        self._store = store
        self._ids = ids

    async def write(self, stream: StreamKey, at: datetime, *events: object) -> None:
        """Append events to a stream."""
        packed = []
        for event in events:
            name, version = EVENTS.name_of(event)
            context = Context(correlation_id=stream.stream_id)
            packed.append(NewEvent(self._ids.new(), name, version, at, encode(event), context))
        before = len(await self._store.read_stream(stream))
        await self._store.append([StreamAppend(stream, before, tuple(packed))])

    async def found(self, clients: Sequence[Client]) -> None:
        """Link every account, create both strategies, let everybody follow both."""
        for client in clients:
            user_id = user_of(client)
            linked = AccountLinked(
                client.account_id, user_id, Exchange.BINANCE, Environment.SIM, PositionMode.ONE_WAY, "USDT", 1, START
            )
            await self.write(account_stream(client.account_id), START, linked)
        for strategy_id, symbol in SYMBOLS.items():
            created = StrategyCreated(
                strategy_id,
                "s",
                "ema",
                Exchange.BINANCE,
                symbol,
                "15m",
                {},
                D("0.01"),
                D(MAX_LEVERAGE),
                D("0.3"),
                START,
            )
            assigned = [
                StrategyAssigned(
                    strategy_id, UUID(int=3), user_of(client), client.account_id, D("0.5"), D(1), START, START
                )
                for client in clients
            ]
            await self.write(StreamKey(STRATEGY_STREAM, strategy_id), START, created, *assigned)


def user_of(client: Client) -> UserId:
    """Return whose account it is."""
    return UserId(derived_id("simulated user", client.uid))


def move_prices(venue: SimulatedVenue, random: Random, jump: float) -> None:
    """Let every price take a step; now and then a long one."""
    for symbol in SYMBOLS.values():
        swing = 0.015 if random.random() < jump else 0.001
        venue.move(symbol, D(str(round(random.uniform(-swing, swing), 6))), jump=random.random() < 0.3)


def next_signal(venue: SimulatedVenue, random: Random, now: datetime, number: int) -> SignalGenerated:
    """Return what a strategy says next; some closes are as old as a slow bus makes them."""
    strategy_id, symbol = random.choice(list(SYMBOLS.items()))
    action = random.choices(list(SignalAction), (4, 4, 2))[0]
    price, sign = venue.prices[symbol], -1 if action is SignalAction.SELL else 1
    near, far = (D(str(round(random.uniform(0.002, 0.015), 5))) for _ in range(2))
    stop, target = (venue.on_grid(symbol, moved) for moved in (price * (1 - sign * near), price * (1 + sign * far)))
    late = random.uniform(2, 9) if action is SignalAction.CLOSE and random.random() < 0.3 else 0.0
    closing = closing_signal(venue, strategy_id, now - timedelta(seconds=late), number)
    if action is SignalAction.CLOSE:
        return closing
    aimed = random.random() < 0.6
    return replace(closing, action=action, stop_price=stop, take_profit_price=target if aimed else None)


def closing_signal(venue: SimulatedVenue, strategy_id: StrategyId, at: datetime, number: int) -> SignalGenerated:
    """Return the wish of a strategy to close."""
    symbol = SYMBOLS[strategy_id]
    return SignalGenerated(
        signal_id=SignalId(derived_id("simulated signal", number)),
        strategy_id=strategy_id,
        exchange=Exchange.BINANCE,
        symbol=symbol,
        action=SignalAction.CLOSE,
        reference_price=venue.prices[symbol],
        stop_price=None,
        take_profit_price=None,
        confidence=D(1),
        indicators={},
        bar_closed_at=at,
        generated_at=at,
        valid_until=at + timedelta(minutes=15),
    )


class Person:
    """Somebody with the client's own access to the exchange."""

    def __init__(self, venue: SimulatedVenue) -> None:
        self._venue = venue
        self._orders = 0

    def act(self, fault: Fault, client: Client, random: Random) -> str:
        """Do something by hand; return what, empty if there was nothing to do."""
        uid = client.uid
        match fault:
            case Fault.MANUAL_CLOSE | Fault.MANUAL_REDUCE:
                return self._close(uid, random, D(1) if fault is Fault.MANUAL_CLOSE else D("0.5"))
            case Fault.STOP_CANCELED:
                stops = [a for a in self._venue.engine.open_algo_orders(uid) if parse_client_order_id(a.client_algo_id)]
                if not stops:
                    return ""
                stop = random.choice(stops)
                done = self._venue.try_apply(operations.CancelAlgoOrder(uid, client_algo_id=stop.client_algo_id))
                return f"cancels {stop.client_algo_id}" if done is not None else ""
            case Fault.SETTINGS_CHANGED:
                return self._change_settings(uid, random)
            case _:
                return self._place(uid, random)

    def _close(self, uid: int, random: Random, fraction: Decimal) -> str:
        held = [symbol for symbol in SYMBOLS.values() if self._venue.held(uid, symbol)]
        if not held:
            return ""
        symbol = random.choice(held)
        quantity, step = self._venue.held(uid, symbol), self._venue.engine.instrument(symbol).step_size
        wanted = abs(quantity) * fraction
        wanted -= wanted % step
        if not wanted:
            return ""
        self._orders += 1
        order = operations.PlaceOrder(
            uid,
            symbol,
            Side.SELL if quantity > 0 else Side.BUY,
            OrderType.MARKET,
            wanted,
            reduce_only=True,
            client_order_id=f"web_{self._orders}",
        )
        return f"closes {wanted} of {quantity} {symbol}" if self._venue.try_apply(order) is not None else ""

    def _change_settings(self, uid: int, random: Random) -> str:
        symbol = random.choice(list(SYMBOLS.values()))
        crossed = self._venue.try_apply(operations.SetMarginType(uid, symbol, MarginType.CROSSED))
        levered = self._venue.try_apply(operations.SetLeverage(uid, symbol, 50))
        return f"sets {symbol} to CROSSED and 50x" if crossed is not None or levered is not None else ""

    def _place(self, uid: int, random: Random) -> str:
        self._orders += 1
        order = operations.PlaceOrder(
            uid,
            THEIR_SYMBOL,
            Side.BUY,
            OrderType.LIMIT,
            D(random.randint(1, 5)),
            D(90),
            TimeInForce.GTC,
            client_order_id=f"web_{self._orders}",
        )
        return f"places {order.client_order_id}" if self._venue.try_apply(order) is not None else ""
