"""What the venue keeps: instruments, orders, trades, positions, bars; immutable snapshots that an event may carry."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import msgspec

from patriot.sim.engine.words import (
    QUOTE_ASSET,
    ZERO,
    AlgoOrigin,
    AlgoStatus,
    Closing,
    IncomeType,
    InstrumentStatus,
    MarginType,
    OrderStatus,
    OrderType,
    Permission,
    PositionSide,
    SelfTradePrevention,
    Side,
    TimeInForce,
    WorkingType,
    round_money,
)


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
    status: InstrumentStatus = InstrumentStatus.TRADING


class Protection(msgspec.Struct, frozen=True, omit_defaults=True):
    """Take profit, stop loss and trailing distance of a position; None leaves one as it is, ZERO takes it away.

    With a size it covers that part of the position (partial mode), without one whatever the position is (full mode).
    """

    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None
    take_profit_type: WorkingType = WorkingType.CONTRACT_PRICE
    stop_loss_type: WorkingType = WorkingType.CONTRACT_PRICE
    take_profit_size: Decimal | None = None
    stop_loss_size: Decimal | None = None
    take_profit_price: Decimal | None = None  # limit price, partial mode only; None: at market
    stop_loss_price: Decimal | None = None
    trailing_distance: Decimal | None = None  # price units
    activation_price: Decimal | None = None  # of the trailing stop


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
    closing: Closing = Closing.NOBODY
    good_till_ms: int = 0  # of GTD
    self_trade_prevention: SelfTradePrevention = SelfTradePrevention.NONE
    price_match: str = "NONE"  # how a face found the price in the book, in its own words
    priority: int = 0  # place in the queue of its price: lower is earlier; given anew when an amendment loses it
    attached: Protection | None = None  # what the position it opens is to carry
    origin: AlgoOrigin = AlgoOrigin.USER  # of the conditional order that made this one

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
    callback_rate: Decimal | None = None  # of a trailing stop: percent, 0.1 to 10
    callback_distance: Decimal | None = None  # of a trailing stop: price units, instead of a rate
    activation_price: Decimal | None = None  # a trailing stop follows the price from here on
    extreme: Decimal | None = None  # the best price since activation; None before it
    good_till_ms: int = 0
    self_trade_prevention: SelfTradePrevention = SelfTradePrevention.NONE
    origin: AlgoOrigin = AlgoOrigin.USER
    ends_with_position: bool = False  # expires as soon as the position is flat
    pair_id: int = 0  # take profit and stop loss that share one end each other when one of them fires
    status: AlgoStatus = AlgoStatus.NEW
    triggered_ms: int = 0
    actual_order_id: int | None = None  # "ai" on the stream, "actualOrderId" on REST
    actual_price: Decimal = ZERO  # average fill price of the actual order
    actual_quantity: Decimal = ZERO  # filled quantity of the actual order
    reject_reason: str = ""
    attached: Protection | None = None  # what the position that its order opens is to carry

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
class MarginChange:
    """What an account moved between its wallet and an isolated position."""

    uid: int
    symbol: str
    position_side: PositionSide
    amount: Decimal  # positive: into the position
    at_ms: int


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
class Countdown:
    """The dead man's switch of an account and symbol; due_ms 0: not set."""

    symbol: str
    due_ms: int


@dataclass(frozen=True, slots=True)
class Amendment:
    """One change of an open order: a row of GET /fapi/v1/orderAmendment."""

    uid: int
    amendment_id: int
    order_id: int
    client_order_id: str
    symbol: str
    at_ms: int
    price_before: Decimal
    price_after: Decimal
    quantity_before: Decimal
    quantity_after: Decimal
    count: int  # of this order so far, 1 for the first


@dataclass(frozen=True, slots=True)
class Pools:
    """Who stands against the accounts. Money is conserved over accounts and pools.

    For every venue: deposits - withdrawals = sum over accounts of (wallet - basis + quantity x mark)
    + house_cash + sum over symbols of (house_quantity x mark) + fees + insurance - insurance funded from outside.
    """

    fees: Decimal  # commissions taken
    insurance: Decimal
    insurance_funded: Decimal  # of it: put in from outside
    house_cash: Decimal  # of the seeded book, the counterparty of whatever no other account took
    house_quantity: dict[str, Decimal]  # signed, by symbol


@dataclass(frozen=True, slots=True)
class Depth:
    symbol: str
    update_id: int
    at_ms: int
    bids: tuple[tuple[Decimal, Decimal], ...]  # price, quantity; best first
    asks: tuple[tuple[Decimal, Decimal], ...]
