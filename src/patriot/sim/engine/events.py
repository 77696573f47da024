"""What an operation did: events for those who listen, a result, or a refusal."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from patriot.sim.engine.records import (
    AccountView,
    AlgoOrder,
    Bar,
    Countdown,
    Income,
    Instrument,
    Order,
    Pools,
    PositionView,
    Ticker,
    Trade,
)
from patriot.sim.engine.words import ExecutionType, UpdateReason


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


@dataclass(frozen=True, slots=True)
class Printed:
    """A trade between an account and the book, for the public tape; only where liquidity is shared."""

    at_ms: int
    trade_id: int  # aggregate trade id, per symbol
    symbol: str
    price: Decimal
    quantity: Decimal
    buyer_is_maker: bool


@dataclass(frozen=True, slots=True)
class InstrumentChanged:
    """A filter or the status of a symbol changed at run time."""

    at_ms: int
    instrument: Instrument


@dataclass(frozen=True, slots=True)
class MarginCalled:
    """MARGIN_CALL: an account came near its liquidation; told once per position until it has recovered."""

    uid: int
    at_ms: int
    cross_wallet: Decimal
    positions: tuple[PositionView, ...]


AccountEvent = OrderUpdated | AlgoOrderUpdated | AccountUpdated | LeverageChanged | MarginCalled
MarketEvent = PriceMoved | Printed | KlineClosed | InstrumentChanged
VenueEvent = AccountEvent | MarketEvent


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
    | Instrument
    | Countdown
    | Pools
    | int
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
