"""One account of a small made-up world, on the real exchange of a run: bracket 1 of one signal, and who judges it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from patriot.kernel.clock import FakeClock, from_epoch_ms
from patriot.kernel.eventstore import Place
from patriot.kernel.ids import Ids
from patriot.kernel.memory import MemoryEventStore
from patriot.orders.client_ids import client_id_prefix, client_order_id, leg_order_id
from patriot.orders.events import (
    OrderAccepted,
    OrderApproved,
    OrderCreated,
    OrderFilled,
    OrderSubmitted,
    entry_order_id,
    order_stream,
)
from patriot.sim.engine.operations import CancelAlgoOrder, PlaceAlgoOrder, PlaceOrder, SetLeverage, SetMarginType
from patriot.sim.engine.words import MarginType, OrderType, Side
from patriot.simulation.books import Books
from patriot.simulation.faults import CALM, Dice
from patriot.simulation.judge import MAX_LEVERAGE, Client, Judge
from patriot.simulation.loop import START, seeded
from patriot.simulation.market import Scribe
from patriot.simulation.venue import PRICES, SimulatedVenue
from patriot.simulation.wire import Request
from patriot.trading.terms import AccountId, Leg, SignalId
from patriot.trading.terms import Side as OurSide
from tests.orders.kit import created

SYMBOL, ONE = "BTCUSDT", Decimal(1)
SIGNAL, ACCOUNT = SignalId(UUID(int=4)), AccountId(UUID(int=2))
GROUP = entry_order_id(SIGNAL, ACCOUNT)
PREFIX = client_id_prefix(GROUP)


class Scene:
    """Exchange, log and judge; `seconds` is the judge's time."""

    def __init__(self) -> None:
        clock = FakeClock(START)
        self.seconds = 0.0
        self.deaf = False
        self.venue = SimulatedVenue(1, clock)
        for symbol in PRICES:
            self.venue.move(symbol, Decimal(0))
        self.uid, _ = self.venue.open_account(Decimal(100_000))
        client = Client(ACCOUNT, self.uid)
        self.judge = Judge(
            self.venue.engine,
            [client],
            Dice(1, CALM),
            lambda: self.seconds,
            lambda _text: None,
            {},
            self.hears,
            [SIGNAL],
        )
        self.venue.exchange.watch = self.judge.applied
        self.store = MemoryEventStore(clock)
        self.scribe = Scribe(self.store, Ids(clock, seeded(1, "ids").randbytes))
        self.settle(MAX_LEVERAGE, MarginType.ISOLATED)

    def hears(self, _uid: int) -> bool:
        return not self.deaf

    def settle(self, leverage: int, margin_type: MarginType) -> None:
        """Set leverage and margin type of the symbol."""
        settings = self.venue.engine.symbol_settings(self.uid, SYMBOL)
        if settings.margin_type is not margin_type:
            self.venue.exchange.apply(SetMarginType(self.uid, SYMBOL, margin_type))
        self.venue.exchange.apply(SetLeverage(self.uid, SYMBOL, leverage))

    def look(self) -> None:
        """Ask for the settings of the symbol, over the wire."""
        self.judge.sent(None, self.uid, Request(b"", "GET", "/fapi/v1/symbolConfig", {"symbol": SYMBOL}, {}))

    def trade(self, leg: Leg, prefix: str = PREFIX) -> None:
        """Place the market order of a leg; it fills at once."""
        side = Side.BUY if leg is Leg.ENTRY else Side.SELL
        client_id = client_order_id(prefix, leg, 1)
        order = PlaceOrder(self.uid, SYMBOL, side, OrderType.MARKET, ONE, client_order_id=client_id)
        self.venue.exchange.apply(order)

    def rest_stop(self) -> None:
        """Place the stop, well below the price."""
        stop = PlaceAlgoOrder(
            self.uid,
            SYMBOL,
            Side.SELL,
            OrderType.STOP_MARKET,
            PRICES[SYMBOL] - 1_000,
            ONE,
            reduce_only=True,
            client_algo_id=client_order_id(PREFIX, Leg.STOP, 1),
        )
        self.venue.exchange.apply(stop)

    def cancel_stop(self) -> None:
        """Cancel the stop."""
        self.venue.exchange.apply(CancelAlgoOrder(self.uid, client_algo_id=client_order_id(PREFIX, Leg.STOP, 1)))

    async def write_order(self, leg: Leg) -> None:
        """Write down an order that the exchange took, with what was executed of it."""
        order = intent(leg)
        one, at = order.order_id, START
        sent = (OrderSubmitted(one, order.client_order_id, 1, at), OrderAccepted(one, ACCOUNT, "v-1", at))
        await self.scribe.write(order_stream(one), at, order, OrderApproved(one), *sent, *self._executed(order))

    async def conclude(self, checkpoints: dict[str, Place] | None = None) -> list[str]:
        """Compare log and exchange; return what was found."""
        await Books(self.judge, self.venue, self.store).conclude([], checkpoints or {})
        return self.judge.violations

    def _executed(self, order: OrderCreated) -> list[OrderFilled]:
        total, fills = Decimal(0), []
        for trade in self.venue.engine.trades(self.uid):
            if trade.client_order_id == order.client_order_id:
                total += trade.quantity
                fills.append(_fill(order, trade, total))
        return fills


def intent(leg: Leg) -> OrderCreated:
    """Return an order of the bracket, as it was decided on."""
    return created(
        order_id=leg_order_id(GROUP, leg, 1),
        group_id=GROUP,
        leg=leg,
        account_id=ACCOUNT,
        signal_id=SIGNAL,
        side=OurSide.BUY if leg is Leg.ENTRY else OurSide.SELL,
        client_order_id=client_order_id(PREFIX, leg, 1),
        client_id_prefix=PREFIX,
        created_at=START,
        valid_until=START + timedelta(minutes=1),
    )


def _fill(order: OrderCreated, trade: Any, total: Decimal) -> OrderFilled:
    return OrderFilled(
        order_id=order.order_id,
        group_id=order.group_id,
        leg=order.leg,
        user_id=order.user_id,
        account_id=order.account_id,
        strategy_id=order.strategy_id,
        exchange=order.exchange,
        symbol=order.symbol,
        side=order.side,
        trade_id=str(trade.trade_id),
        venue_order_id=str(trade.order_id),
        quantity=trade.quantity,
        price=trade.price,
        commission=trade.commission,
        commission_asset="USDT",
        realized_pnl=trade.realized_pnl,
        is_maker=trade.maker,
        cumulative_quantity=total,
        filled_at=from_epoch_ms(trade.at_ms),
    )
