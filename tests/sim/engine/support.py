"""A short hand for the engine's tests: one venue, one account, one symbol at 40,000."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from patriot.sim.engine.events import Outcome, VenueEvent
from patriot.sim.engine.instruments import LISTED
from patriot.sim.engine.operations import (
    CancelOrder,
    CreateAccount,
    MovePrice,
    Operation,
    PlaceAlgoOrder,
    PlaceOrder,
    SetLeverage,
    SetMarginType,
)
from patriot.sim.engine.records import AlgoOrder, Order, Position
from patriot.sim.engine.venue import Venue
from patriot.sim.engine.words import AlgoStatus, IncomeType, MarginType, OrderType, PositionSide, Side, TimeInForce

D = Decimal
SYMBOL = "BTCUSDT"
START_MS = 1_640_995_200_000


class Desk:
    """One account on a venue; time passes a second with every operation, unless frozen."""

    def __init__(self, *, price: str = "40000", balance: str = "100000", seed: int = 7, hedge_mode: bool = False):
        self.venue = Venue(seed=seed, instruments=LISTED)
        self.now_ms = START_MS
        self.uid = 1
        self.emitted: tuple[VenueEvent, ...] = ()
        self.do(CreateAccount(D(balance), hedge_mode=hedge_mode))
        self.move(price)

    def do(self, operation: Operation) -> Any:
        outcome = self.attempt(operation)
        if outcome.refusal is not None:
            raise outcome.refusal
        return outcome.result

    def attempt(self, operation: Operation) -> Outcome:
        self.now_ms += 1_000
        outcome = self.venue.apply(operation, self.now_ms)
        self.emitted = outcome.emitted
        return outcome

    def code(self, operation: Operation) -> int:
        refusal = self.attempt(operation).refusal
        return refusal.code if refusal is not None else 0

    def move(self, last: str, mark: str | None = None, *, jump: bool = False, symbol: str = SYMBOL) -> None:
        self.do(MovePrice(symbol, D(last), None if mark is None else D(mark), jump=jump))

    def market(self, side: Side, quantity: str, **fields: Any) -> Order:
        order: Order = self.do(market(self.uid, side, quantity, **fields))
        return order

    def limit(self, side: Side, quantity: str, price: str, **fields: Any) -> Order:
        order: Order = self.do(limit(self.uid, side, quantity, price, **fields))
        return order

    def stop(self, side: Side, trigger_price: str, quantity: str | None = None, **fields: Any) -> AlgoOrder:
        order: AlgoOrder = self.do(stop(self.uid, side, trigger_price, quantity, **fields))
        return order

    def cancel(self, order: Order) -> Order:
        canceled: Order = self.do(CancelOrder(self.uid, order.symbol, order.order_id))
        return canceled

    def order(self, order: Order) -> Order:
        return self.venue.order(self.uid, order.symbol, order_id=order.order_id)

    def algo(self, order: AlgoOrder) -> AlgoOrder:
        return self.venue.algo_order(self.uid, algo_id=order.algo_id)

    def position(self, position_side: PositionSide = PositionSide.BOTH) -> Position:
        rows = self.venue.positions(self.uid, SYMBOL)
        return next(row.position for row in rows if row.position.position_side is position_side)

    def isolated(self, leverage: int) -> None:
        self.do(SetMarginType(self.uid, SYMBOL, MarginType.ISOLATED))
        self.do(SetLeverage(self.uid, SYMBOL, leverage))

    def income_of(self, income_type: IncomeType) -> Decimal:
        return sum((i.amount for i in self.venue.income(self.uid) if i.income_type is income_type), D(0))

    def statuses(self) -> list[AlgoStatus | str]:
        """What the last operation told about orders, in sequence."""
        told: list[AlgoStatus | str] = []
        for event in self.emitted:
            if (order := getattr(event, "order", None)) is not None:
                told.append(order.status if isinstance(order, AlgoOrder) else f"order {order.status}")
        return told


def market(uid: int, side: Side, quantity: str, **fields: Any) -> PlaceOrder:
    return PlaceOrder(uid, fields.pop("symbol", SYMBOL), side, OrderType.MARKET, D(quantity), **fields)


def limit(uid: int, side: Side, quantity: str, price: str, **fields: Any) -> PlaceOrder:
    fields.setdefault("time_in_force", TimeInForce.GTC)
    symbol = fields.pop("symbol", SYMBOL)
    return PlaceOrder(uid, symbol, side, OrderType.LIMIT, D(quantity), price=D(price), **fields)


def stop(uid: int, side: Side, trigger_price: str, quantity: str | None = None, **fields: Any) -> PlaceAlgoOrder:
    order_type = fields.pop("order_type", OrderType.STOP_MARKET)
    wanted = None if quantity is None else D(quantity)
    return PlaceAlgoOrder(uid, SYMBOL, side, order_type, D(trigger_price), wanted, **fields)
