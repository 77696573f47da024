"""A bracket and its orders, as tests of its next steps drive them."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from patriot.execution.bracket import (
    Bracket,
    Cancel,
    LegState,
    Open,
    evolve,
    next_steps,
)
from patriot.orders.commands import (
    OrderCommand,
    RecordAccepted,
    RecordExpired,
    RecordFill,
    RecordRejected,
    RecordSubmitted,
    RecordUnknown,
)
from patriot.orders.decider import ORDER, Order
from patriot.orders.events import RejectStage
from patriot.trading.terms import Leg, OrderId
from tests.orders import kit
from tests.orders.kit import NOON, ORDER_ID, D


@dataclass
class Play:
    """A bracket and its orders, driven by commands as the desk drives them."""

    bracket: Bracket = field(default_factory=Bracket)
    orders: dict[OrderId, Order] = field(default_factory=dict)
    trades: int = 0

    def tell(self, command: OrderCommand) -> None:
        order = self.orders.get(command.order_id, ORDER.initial)
        for event in ORDER.decide(order, command):
            order = ORDER.evolve(order, event)
            self.bracket = evolve(self.bracket, event)
        self.orders[command.order_id] = order

    def enter(self, quantity: str = "1") -> None:
        self.tell(kit.place(quantity=D(quantity)))
        self.tell(kit.submitted())

    def fill(self, order_id: OrderId, quantity: Decimal) -> None:
        self.trades += 1
        self.tell(RecordFill(order_id, f"t{self.trades}", "v", quantity, D(1), D(0), "USDT", D(0), False, NOON))

    def pay(self, commission: str, asset: str) -> None:
        """Fill a little of the entry for a commission."""
        self.trades += 1
        paid = D(commission)
        self.tell(RecordFill(ORDER_ID, f"t{self.trades}", "v", D("0.1"), D(1), paid, asset, D(0), False, NOON))

    def open(self, leg: Leg, quantity: Decimal, state: LegState = LegState.SENDING) -> OrderId:
        """Open the next order of a leg and bring it to a state."""
        command = kit.open_leg(leg, self.bracket.next_sequence(leg), str(quantity))
        order_id = command.order_id
        self.tell(command)
        self.tell(RecordSubmitted(order_id, 1, NOON))
        reports: dict[LegState, OrderCommand] = {
            LegState.RESTING: RecordAccepted(order_id, f"algo:{order_id}", NOON),
            LegState.UNKNOWN: RecordUnknown(order_id, "OutcomeUnknown", NOON),
            LegState.FAILED: RecordRejected(order_id, RejectStage.EXCHANGE, "NO", None, None, NOON),
            LegState.OVER: RecordExpired(order_id, NOON),
        }
        if state in reports:
            self.tell(reports[state])
        return order_id

    @property
    def steps(self) -> list[Open | Cancel]:
        return next_steps(self.bracket)


def held(quantity: str = "1") -> Play:
    play = Play()
    play.enter(quantity)
    play.fill(ORDER_ID, D(quantity))
    return play


def protected(quantity: str = "1") -> Play:
    play = held(quantity)
    play.open(Leg.STOP, D(quantity), LegState.RESTING)
    play.open(Leg.TARGET, D(quantity), LegState.RESTING)
    return play
