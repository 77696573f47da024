"""What an exchange tells about orders and accounts, in PATRIOT's words. Shared by the ports of several domains."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from patriot.trading.terms import OrderType, Side, TimeInForce


class VenueStatus(StrEnum):
    """The state of an order on the exchange."""

    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    TRIGGERED = "TRIGGERED"  # a conditional order that became a working one
    UNKNOWN = "UNKNOWN"  # a value this version does not know: counted, alerting, never an exception


@dataclass(frozen=True, slots=True)
class VenueOrder:
    """An order request. Conditional types (STOP_MARKET, ...) carry `trigger_price`; triggers watch the mark price."""

    client_order_id: str
    symbol: str
    side: Side
    order_type: OrderType
    quantity: Decimal
    reduce_only: bool
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    time_in_force: TimeInForce | None = None

    @property
    def conditional(self) -> bool:
        """Return whether the order waits for a trigger price."""
        return self.order_type not in (OrderType.MARKET, OrderType.LIMIT)


@dataclass(frozen=True, slots=True)
class OrderReport:
    """The state of one order, from an answer, a query or the private stream.

    `venue_order_id` of a conditional order is its algo id, prefixed `algo:`; `triggered_order_id` is the id of the
    working order it became, if it did.
    """

    client_order_id: str
    venue_order_id: str
    symbol: str
    side: Side
    status: VenueStatus
    quantity: Decimal
    executed_quantity: Decimal
    at: datetime  # exchange time
    conditional: bool = False
    triggered_order_id: str | None = None


@dataclass(frozen=True, slots=True)
class TradeReport:
    """One execution. `client_order_id` is empty when the exchange's trade list does not carry it."""

    trade_id: str
    venue_order_id: str
    client_order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    commission: Decimal
    commission_asset: str
    realized_pnl: Decimal
    is_maker: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class MoneyMoved:
    """The wallet changed for a reason other than a trade (funding, transfer): ask the income records."""

    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class StreamResumed:
    """The private stream is open, for the first time or again: anything may have happened before."""

    at: datetime


@dataclass(frozen=True, slots=True)
class StreamLost:
    """The private stream could not be opened, once more: until StreamResumed nothing is told, so ask what matters."""

    at: datetime
    key_refused: bool = False  # what the exchange said speaks of the key


@dataclass(frozen=True, slots=True)
class SettingsChanged:
    """Leverage, margin type or mode changed, of a symbol or (empty) of the account: read them before an entry."""

    symbol: str
    at: datetime


PrivateReport = OrderReport | TradeReport | MoneyMoved | StreamResumed | StreamLost | SettingsChanged


@dataclass(frozen=True, slots=True)
class PositionReport:
    symbol: str
    quantity: Decimal  # signed
    entry_price: Decimal
    mark_price: Decimal
    unrealized_pnl: Decimal
    leverage: int
    isolated: bool


@dataclass(frozen=True, slots=True)
class SymbolSettings:
    """How an account trades a symbol."""

    leverage: int
    isolated: bool


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """The modes of an account: long and short held apart, margin in several assets."""

    hedge_mode: bool
    multi_assets: bool


@dataclass(frozen=True, slots=True)
class AssetBalance:
    asset: str
    wallet_balance: Decimal


@dataclass(frozen=True, slots=True)
class AccountSnapshot:
    """Balances and open positions, read in one request. Units: quote asset; `other_assets` in their own, not added."""

    asset: str
    wallet_balance: Decimal
    available_balance: Decimal
    unrealized_pnl: Decimal
    positions: tuple[PositionReport, ...]
    at: datetime
    other_assets: tuple[AssetBalance, ...] = ()  # those that are not zero

    @property
    def equity(self) -> Decimal:
        """Return wallet balance plus unrealized PnL."""
        return self.wallet_balance + self.unrealized_pnl

    def position(self, symbol: str) -> Decimal:
        """Return the signed position on a symbol, 0 if there is none."""
        return sum((position.quantity for position in self.positions if position.symbol == symbol), Decimal(0))


class IncomeType(StrEnum):
    """What a change of the wallet is. The first four are the result of trading, TRANSFER is all other known money."""

    REALIZED_PNL = "REALIZED_PNL"
    COMMISSION = "COMMISSION"
    FUNDING_FEE = "FUNDING_FEE"
    CHARGE = "CHARGE"  # of a liquidation, or commission that came back
    TRANSFER = "TRANSFER"  # in or out, however: nothing that trading brought
    OTHER = "OTHER"  # a type this version does not know: its money stays unexplained


@dataclass(frozen=True, slots=True)
class IncomeRecord:
    """One change of the wallet as the exchange books it."""

    record_id: str
    income_type: IncomeType
    raw_type: str
    symbol: str
    asset: str
    amount: Decimal
    at: datetime
    trade_id: str = ""  # the execution that it belongs to, of profit and commission


@dataclass(frozen=True, slots=True)
class OrderSender:
    """Who sent an order: the client id it came with, or the exchange itself (a liquidation, auto-deleveraging)."""

    client_order_id: str
    is_exchange: bool


@dataclass(frozen=True, slots=True)
class KeyPermissions:
    """What an API key may do, as the exchange says."""

    read: bool
    trade: bool
    withdraw: bool
    transfer: bool
    ip_restricted: bool
