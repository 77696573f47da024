"""The words of the simulated venue: instruments, records, operations in, outcomes and events out.

Every record is an immutable snapshot, so that an event may carry it and a reader may keep it. Operations are msgspec
structs with a tag, since the journal writes them down. Time is an int of UTC milliseconds; money and quantities are
Decimal.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from typing import Final

import msgspec

ZERO: Final = Decimal(0)
MONEY_STEP: Final = Decimal("0.00000001")  # the venue keeps USDT to 1e-8
QUOTE_ASSET: Final = "USDT"
MILLISECONDS_PER_MINUTE: Final = 60_000


def round_money(amount: Decimal) -> Decimal:
    """Round an amount of the quote asset once, to the venue's 1e-8, half to even."""
    return amount.quantize(MONEY_STEP, ROUND_HALF_EVEN)


# ---------------------------------------------------------------------------------------------------- words of the wire


class Side(StrEnum):
    BUY = "BUY"
    SELL = "SELL"


class PositionSide(StrEnum):
    BOTH = "BOTH"  # one-way mode
    LONG = "LONG"
    SHORT = "SHORT"


class OrderType(StrEnum):
    MARKET = "MARKET"
    LIMIT = "LIMIT"
    STOP = "STOP"
    STOP_MARKET = "STOP_MARKET"
    TAKE_PROFIT = "TAKE_PROFIT"
    TAKE_PROFIT_MARKET = "TAKE_PROFIT_MARKET"
    TRAILING_STOP_MARKET = "TRAILING_STOP_MARKET"  # known, refused for now


class TimeInForce(StrEnum):
    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    GTX = "GTX"  # post only


class OrderStatus(StrEnum):
    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"


class AlgoStatus(StrEnum):
    NEW = "NEW"
    CANCELED = "CANCELED"
    TRIGGERING = "TRIGGERING"
    TRIGGERED = "TRIGGERED"
    FINISHED = "FINISHED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"


class ExecutionType(StrEnum):
    NEW = "NEW"
    TRADE = "TRADE"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    CALCULATED = "CALCULATED"  # a trade of a liquidation


class WorkingType(StrEnum):
    MARK_PRICE = "MARK_PRICE"
    CONTRACT_PRICE = "CONTRACT_PRICE"


class MarginType(StrEnum):
    ISOLATED = "ISOLATED"
    CROSSED = "CROSSED"


class IncomeType(StrEnum):
    TRANSFER = "TRANSFER"
    REALIZED_PNL = "REALIZED_PNL"
    COMMISSION = "COMMISSION"
    FUNDING_FEE = "FUNDING_FEE"
    INSURANCE_CLEAR = "INSURANCE_CLEAR"  # liquidation fee (negative), or a bankrupt rest that the fund pays (positive)


class UpdateReason(StrEnum):
    ORDER = "ORDER"
    FUNDING_FEE = "FUNDING_FEE"
    DEPOSIT = "DEPOSIT"
    WITHDRAW = "WITHDRAW"
    MARGIN_TYPE_CHANGE = "MARGIN_TYPE_CHANGE"
    INSURANCE_CLEAR = "INSURANCE_CLEAR"


class Permission(StrEnum):
    READ = "read"
    TRADE = "trade"
    WITHDRAW = "withdraw"
    TRANSFER = "transfer"


# ---------------------------------------------------------------------------------------------------- instruments


@dataclass(frozen=True, slots=True)
class LeverageBracket:
    bracket: int
    notional_floor: Decimal
    notional_cap: Decimal
    initial_leverage: int
    maintenance_ratio: Decimal
    maintenance_amount: Decimal  # "cum" on the wire: subtracted from notional x ratio


@dataclass(frozen=True, slots=True)
class Instrument:
    symbol: str
    base_asset: str
    tick_size: Decimal
    step_size: Decimal
    min_quantity: Decimal
    max_quantity: Decimal
    market_max_quantity: Decimal
    min_notional: Decimal
    brackets: tuple[LeverageBracket, ...]
    quote_asset: str = QUOTE_ASSET
    min_price: Decimal = Decimal("0.01")
    max_price: Decimal = Decimal("10000000")
    price_band_up: Decimal = Decimal("1.05")  # PERCENT_PRICE multiplierUp, times mark price
    price_band_down: Decimal = Decimal("0.95")
    market_take_bound: Decimal = Decimal("0.05")  # how far from mark a market order may walk
    maker_fee_rate: Decimal = Decimal("0.0002")
    taker_fee_rate: Decimal = Decimal("0.0005")
    liquidation_fee_rate: Decimal = Decimal("0.0125")
    max_open_orders: int = 200
    max_open_algo_orders: int = 200
    level_notional: Decimal = Decimal("20000")  # typical size of one level of the seeded book, USDT
    funding_interval_ms: int = 28_800_000
    onboard_ms: int = 1_569_398_400_000


# ---------------------------------------------------------------------------------------------------- records


@dataclass(frozen=True, slots=True)
class Order:
    uid: int
    order_id: int
    client_order_id: str
    symbol: str
    side: Side
    order_type: OrderType
    quantity: Decimal
    created_ms: int
    updated_ms: int
    position_side: PositionSide = PositionSide.BOTH
    time_in_force: TimeInForce = TimeInForce.GTC
    price: Decimal = ZERO  # 0 for a market order
    reduce_only: bool = False
    close_position: bool = False
    status: OrderStatus = OrderStatus.NEW
    filled_quantity: Decimal = ZERO
    filled_notional: Decimal = ZERO  # "cumQuote" on the wire
    original_type: OrderType = OrderType.MARKET  # of the conditional order that made this one, else order_type
    algo_id: int | None = None  # the conditional order that made this one
    working_type: WorkingType = WorkingType.CONTRACT_PRICE
    liquidation: bool = False

    @property
    def leaves_quantity(self) -> Decimal:
        return self.quantity - self.filled_quantity

    @property
    def average_fill_price(self) -> Decimal:
        return round_money(self.filled_notional / self.filled_quantity) if self.filled_quantity else ZERO

    @property
    def is_open(self) -> bool:
        return self.status is OrderStatus.NEW or self.status is OrderStatus.PARTIALLY_FILLED


@dataclass(frozen=True, slots=True)
class AlgoOrder:
    uid: int
    algo_id: int
    client_algo_id: str
    symbol: str
    side: Side
    order_type: OrderType
    quantity: Decimal  # 0 with close_position
    trigger_price: Decimal
    created_ms: int
    updated_ms: int
    trigger_above: bool  # fires at or above the trigger price; else at or below
    position_side: PositionSide = PositionSide.BOTH
    time_in_force: TimeInForce = TimeInForce.GTC
    price: Decimal = ZERO
    working_type: WorkingType = WorkingType.CONTRACT_PRICE
    reduce_only: bool = False
    close_position: bool = False
    price_protect: bool = False
    status: AlgoStatus = AlgoStatus.NEW
    triggered_ms: int = 0
    actual_order_id: int | None = None  # "ai" on the stream, "actualOrderId" on REST
    actual_price: Decimal = ZERO  # average fill price of the actual order
    actual_quantity: Decimal = ZERO  # filled quantity of the actual order
    reject_reason: str = ""

    @property
    def is_open(self) -> bool:
        return self.status is AlgoStatus.NEW


@dataclass(frozen=True, slots=True)
class Trade:
    uid: int
    trade_id: int
    order_id: int
    client_order_id: str
    symbol: str
    side: Side
    position_side: PositionSide
    price: Decimal
    quantity: Decimal
    commission: Decimal  # positive: paid; in the quote asset
    realized_pnl: Decimal
    maker: bool
    at_ms: int

    @property
    def notional(self) -> Decimal:
        return self.quantity * self.price


@dataclass(frozen=True, slots=True)
class Income:
    uid: int
    tran_id: int
    income_type: IncomeType
    amount: Decimal  # signed change of the wallet
    at_ms: int
    symbol: str = ""
    info: str = ""
    trade_id: int | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """A holding. Cost is carried as signed notional (basis): unrealized_pnl = quantity x mark - basis, exactly."""

    symbol: str
    position_side: PositionSide
    quantity: Decimal = ZERO  # signed
    basis: Decimal = ZERO  # signed as quantity
    isolated_wallet: Decimal = ZERO  # 0 when crossed
    realized_pnl: Decimal = ZERO  # accumulated ("cr"), before commissions
    updated_ms: int = 0

    @property
    def entry_price(self) -> Decimal:
        """The average, for people only; rounded to 1e-8."""
        return round_money(self.basis / self.quantity) if self.quantity else ZERO

    def unrealized_pnl(self, mark_price: Decimal) -> Decimal:
        return self.quantity * mark_price - self.basis if self.quantity else ZERO


@dataclass(frozen=True, slots=True)
class PositionView:
    """A position beside its settings and the mark price of the moment: rows of positionRisk and of ACCOUNT_UPDATE."""

    position: Position
    leverage: int
    margin_type: MarginType
    mark_price: Decimal
    unrealized_pnl: Decimal
    notional: Decimal  # signed, at mark
    initial_margin: Decimal  # of the position, at mark
    open_order_margin: Decimal
    maintenance_margin: Decimal
    liquidation_price: Decimal  # 0 when there is none
    max_notional: Decimal  # of the bracket of this leverage


@dataclass(frozen=True, slots=True)
class AccountView:
    """The sums of an account at the mark prices of the moment: /fapi/v2|v3/account and balance."""

    uid: int
    permissions: tuple[Permission, ...]
    hedge_mode: bool
    wallet: Decimal  # "walletBalance": cash, isolated wallets included
    cross_wallet: Decimal  # "crossWalletBalance": wallet without the isolated wallets
    unrealized_pnl: Decimal
    cross_unrealized_pnl: Decimal
    equity: Decimal  # "marginBalance": wallet + unrealized
    initial_margin: Decimal
    position_initial_margin: Decimal
    open_order_initial_margin: Decimal
    maintenance_margin: Decimal
    available: Decimal
    max_withdraw: Decimal
    updated_ms: int


@dataclass(frozen=True, slots=True)
class Bar:
    open_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal = ZERO  # base asset
    quote_volume: Decimal = ZERO
    trades: int = 0
    taker_buy_volume: Decimal = ZERO
    taker_buy_quote_volume: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Ticker:
    """Prices of one symbol at the last move; None of them exists before the first MovePrice."""

    symbol: str
    last: Decimal
    mark: Decimal
    index: Decimal
    at_ms: int
    funding_rate: Decimal  # of the next settlement
    next_funding_ms: int
    bid: Decimal
    bid_quantity: Decimal
    ask: Decimal
    ask_quantity: Decimal


@dataclass(frozen=True, slots=True)
class Depth:
    symbol: str
    update_id: int
    at_ms: int
    bids: tuple[tuple[Decimal, Decimal], ...]  # price, quantity; best first
    asks: tuple[tuple[Decimal, Decimal], ...]


# ---------------------------------------------------------------------------------------------------- operations


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
    """Result: Order. An empty client_order_id lets the venue make one."""

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


class CancelAlgoOrder(_Operation, frozen=True):
    """Result: AlgoOrder. One of the two ids names it; algo_id wins."""

    uid: int
    algo_id: int | None = None
    client_algo_id: str | None = None


class CancelAllAlgoOrders(_Operation, frozen=True):
    """Result: tuple[AlgoOrder, ...]."""

    uid: int
    symbol: str


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
    """Result: AccountView."""

    uid: int
    hedge_mode: bool


class Transfer(_Operation, frozen=True):
    """Result: Income. Positive: a deposit; negative: a withdrawal, refused above max_withdraw."""

    uid: int
    amount: Decimal
    info: str = ""


class MovePrice(_Operation, frozen=True):
    """Result: Ticker. Fills resting orders, triggers algo orders, liquidates. mark and index default to last.

    The price is taken to pass through everything between the move before and this one, so a stop on the way fills near
    its trigger price; with jump (a hole in the recording) it fills at the new price.
    """

    symbol: str
    last: Decimal
    mark: Decimal | None = None
    index: Decimal | None = None
    jump: bool = False


class CloseBar(_Operation, frozen=True):
    """Result: Bar. Replaces the 1-minute bar that moves have built by the recorded one, and closes it."""

    symbol: str
    bar: Bar


class SettleFunding(_Operation, frozen=True):
    """Result: tuple[Income, ...]. Every open position of the symbol, at mark; rate defaults to the venue's own."""

    symbol: str
    rate: Decimal | None = None


Operation = (
    CreateAccount
    | SetPermissions
    | PlaceOrder
    | CancelOrder
    | CancelAllOrders
    | PlaceAlgoOrder
    | CancelAlgoOrder
    | CancelAllAlgoOrders
    | SetLeverage
    | SetMarginType
    | SetPositionMode
    | Transfer
    | MovePrice
    | CloseBar
    | SettleFunding
)

# ---------------------------------------------------------------------------------------------------- emitted events


@dataclass(frozen=True, slots=True)
class OrderUpdated:
    """ORDER_TRADE_UPDATE."""

    uid: int
    at_ms: int
    execution_type: ExecutionType
    order: Order  # as it is after this step
    trade: Trade | None = None


@dataclass(frozen=True, slots=True)
class AlgoOrderUpdated:
    """ALGO_UPDATE."""

    uid: int
    at_ms: int
    order: AlgoOrder


@dataclass(frozen=True, slots=True)
class AccountUpdated:
    """ACCOUNT_UPDATE. One per step that moved money or a position; only changed positions are listed."""

    uid: int
    at_ms: int
    reason: UpdateReason
    wallet: Decimal  # "wb"
    cross_wallet: Decimal  # "cw"
    balance_change: Decimal  # "bc": without pnl and commission
    positions: tuple[PositionView, ...] = ()


@dataclass(frozen=True, slots=True)
class LeverageChanged:
    """ACCOUNT_CONFIG_UPDATE."""

    uid: int
    at_ms: int
    symbol: str
    leverage: int


@dataclass(frozen=True, slots=True)
class PriceMoved:
    """One move of one symbol: aggTrade, markPriceUpdate and bookTicker are all rendered from it."""

    at_ms: int
    trade_id: int  # aggregate trade id, per symbol
    quantity: Decimal  # of the print
    buyer_is_maker: bool
    ticker: Ticker


@dataclass(frozen=True, slots=True)
class KlineClosed:
    """A bar of the interval closed. Bars in progress are read with Venue.klines."""

    at_ms: int
    symbol: str
    interval: str  # "1m", "15m", "1h" ...
    bar: Bar


AccountEvent = OrderUpdated | AlgoOrderUpdated | AccountUpdated | LeverageChanged
MarketEvent = PriceMoved | KlineClosed
VenueEvent = AccountEvent | MarketEvent

# ---------------------------------------------------------------------------------------------------- outcomes


class VenueRefusal(Exception):
    """The venue says no: its code and its words."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


Result = (
    Order
    | AlgoOrder
    | AccountView
    | PositionView
    | Income
    | Ticker
    | Bar
    | tuple[Order, ...]
    | tuple[AlgoOrder, ...]
    | tuple[Income, ...]
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one operation did. A refused operation changed nothing and emitted nothing."""

    result: Result | None
    refusal: VenueRefusal | None = None
    emitted: tuple[VenueEvent, ...] = ()
