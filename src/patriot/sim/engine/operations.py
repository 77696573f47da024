"""What can be asked of the venue. Operations are msgspec structs with a tag, since the journal writes them down."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from patriot.sim.engine.records import Bar, Protection
from patriot.sim.engine.words import (
    InstrumentStatus,
    MarginType,
    OrderType,
    Permission,
    PositionSide,
    SelfTradePrevention,
    Side,
    TimeInForce,
    WorkingType,
)


class _Operation(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    pass


class CreateAccount(_Operation, frozen=True):
    """Result: AccountView. A uid of 0 lets the venue give the next one. The balance is booked as a deposit."""

    balance: Decimal
    permissions: tuple[Permission, ...] = (Permission.READ, Permission.TRADE)
    uid: int = 0
    hedge_mode: bool = False


class SetPermissions(_Operation, frozen=True):
    """Result: AccountView."""

    uid: int
    permissions: tuple[Permission, ...]


class PlaceOrder(_Operation, frozen=True):
    """Result: Order. An empty client_order_id lets the venue make one.

    An FOK that cannot fill and a GTX that would take are refused; with refuse_late they are kept as EXPIRED.
    """

    uid: int
    symbol: str
    side: Side
    order_type: OrderType
    quantity: Decimal | None = None
    price: Decimal | None = None
    time_in_force: TimeInForce | None = None
    reduce_only: bool = False
    position_side: PositionSide = PositionSide.BOTH
    client_order_id: str = ""
    good_till_ms: int = 0
    self_trade_prevention: SelfTradePrevention = SelfTradePrevention.NONE
    attached: Protection | None = None
    refuse_late: bool = False  # GTX that would take, FOK that cannot fill: accepted, and expires
    price_match: str = "NONE"  # kept with the order; the price was found by who sends this


class AmendOrder(_Operation, frozen=True):
    """Result: Order. None leaves quantity or price as it is. A lower quantity alone keeps the place in the queue."""

    uid: int
    symbol: str
    order_id: int | None = None
    client_order_id: str | None = None
    quantity: Decimal | None = None
    price: Decimal | None = None
    attached: Protection | None = None


class CancelOrder(_Operation, frozen=True):
    """Result: Order. One of the two ids names it; order_id wins."""

    uid: int
    symbol: str
    order_id: int | None = None
    client_order_id: str | None = None


class CancelAllOrders(_Operation, frozen=True):
    """Result: tuple[Order, ...]. Leaves algo orders alone, as the venue does."""

    uid: int
    symbol: str


class PlaceAlgoOrder(_Operation, frozen=True):
    """Result: AlgoOrder."""

    uid: int
    symbol: str
    side: Side
    order_type: OrderType
    trigger_price: Decimal | None = None
    quantity: Decimal | None = None
    price: Decimal | None = None
    time_in_force: TimeInForce | None = None
    working_type: WorkingType = WorkingType.CONTRACT_PRICE
    reduce_only: bool = False
    close_position: bool = False
    price_protect: bool = False
    position_side: PositionSide = PositionSide.BOTH
    client_algo_id: str = ""
    trigger_above: bool | None = None  # None: as side and type say
    callback_rate: Decimal | None = None  # percent
    callback_distance: Decimal | None = None  # price units
    activation_price: Decimal | None = None
    good_till_ms: int = 0
    self_trade_prevention: SelfTradePrevention = SelfTradePrevention.NONE
    ends_with_position: bool = False
    attached: Protection | None = None  # what the position that its order opens is to carry


class AmendAlgoOrder(_Operation, frozen=True):
    """Result: AlgoOrder. None leaves a field as it is."""

    uid: int
    algo_id: int | None = None
    client_algo_id: str | None = None
    quantity: Decimal | None = None
    price: Decimal | None = None
    trigger_price: Decimal | None = None


class CancelAlgoOrder(_Operation, frozen=True):
    """Result: AlgoOrder. One of the two ids names it; algo_id wins."""

    uid: int
    algo_id: int | None = None
    client_algo_id: str | None = None


class CancelAllAlgoOrders(_Operation, frozen=True):
    """Result: tuple[AlgoOrder, ...]."""

    uid: int
    symbol: str


class SetProtection(_Operation, frozen=True):
    """Result: PositionView. What an open position carries, as conditional orders of their own origins."""

    uid: int
    symbol: str
    protection: Protection
    position_side: PositionSide = PositionSide.BOTH


class SetCountdown(_Operation, frozen=True):
    """Result: Countdown. Cancel all open orders of the symbol at this time, unless another is set; 0 stops it."""

    uid: int
    symbol: str
    due_ms: int


class AdjustMargin(_Operation, frozen=True):
    """Result: PositionView. Move money between the wallet and an isolated position; positive adds margin."""

    uid: int
    symbol: str
    amount: Decimal
    position_side: PositionSide = PositionSide.BOTH


class SetLeverage(_Operation, frozen=True):
    """Result: PositionView (leverage, max_notional)."""

    uid: int
    symbol: str
    leverage: int


class SetMarginType(_Operation, frozen=True):
    """Result: PositionView."""

    uid: int
    symbol: str
    margin_type: MarginType


class SetPositionMode(_Operation, frozen=True):
    """Result: AccountView. Of one symbol, or of all when none is named."""

    uid: int
    hedge_mode: bool
    symbol: str = ""


class Transfer(_Operation, frozen=True):
    """Result: Income. Positive: a deposit; negative: a withdrawal, refused above max_withdraw."""

    uid: int
    amount: Decimal
    info: str = ""


class MovePrice(_Operation, frozen=True):
    """Result: Ticker. Fills resting orders, triggers algo orders, liquidates. mark and index default to last.

    The price is taken to pass through everything between the move before and this one, so a stop on the way fills near
    its trigger price; with jump (a hole in the recording) it fills at the new price. A recorded trade brings its
    quantity and its side for the tape; None: seeded ones.
    """

    symbol: str
    last: Decimal
    mark: Decimal | None = None
    index: Decimal | None = None
    jump: bool = False
    quantity: Decimal | None = None
    buyer_is_maker: bool | None = None


class CloseBar(_Operation, frozen=True):
    """Result: Bar. Replaces the 1-minute bar that moves have built by the recorded one, and closes it."""

    symbol: str
    bar: Bar


class SettleFunding(_Operation, frozen=True):
    """Result: tuple[Income, ...]. Every open position of the symbol, at mark; rate defaults to the venue's own."""

    symbol: str
    rate: Decimal | None = None


class PassTime(_Operation, frozen=True):
    """Result: tuple[Order, ...]: what ended because its time had come (GTD, countdowns). See Venue.next_deadline_ms."""


class ChangeInstrument(_Operation, frozen=True):
    """Result: Instrument. What a venue may change at run time; None leaves a field as it is. Open orders stay."""

    symbol: str
    status: InstrumentStatus | None = None
    tick_size: Decimal | None = None
    step_size: Decimal | None = None
    min_quantity: Decimal | None = None
    max_quantity: Decimal | None = None
    min_notional: Decimal | None = None


class SetFillParts(_Operation, frozen=True):
    """Result: int. From now on every match is told in so many parts, 1 being as usual: a storm of partial fills."""

    symbol: str
    parts: int


class FundInsurance(_Operation, frozen=True):
    """Result: Pools. Put money into the insurance fund, or take it out; never below zero."""

    amount: Decimal


Operation = (
    CreateAccount
    | SetPermissions
    | PlaceOrder
    | AmendOrder
    | CancelOrder
    | CancelAllOrders
    | PlaceAlgoOrder
    | AmendAlgoOrder
    | CancelAlgoOrder
    | CancelAllAlgoOrders
    | SetProtection
    | SetCountdown
    | AdjustMargin
    | SetLeverage
    | SetMarginType
    | SetPositionMode
    | Transfer
    | MovePrice
    | CloseBar
    | SettleFunding
    | PassTime
    | ChangeInstrument
    | SetFillParts
    | FundInsurance
)
