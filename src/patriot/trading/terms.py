"""Words that every trading domain shares: sides, order types, symbols' filters. Values are as on PATRIOT's own wire."""

from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import NewType
from uuid import UUID

UserId = NewType("UserId", UUID)
AccountId = NewType("AccountId", UUID)
StrategyId = NewType("StrategyId", UUID)
SignalId = NewType("SignalId", UUID)
OrderId = NewType("OrderId", UUID)


class Exchange(StrEnum):
    BINANCE = "BINANCE"
    BYBIT = "BYBIT"


VenueId = Exchange  # a process serves one environment of each exchange


class Environment(StrEnum):
    LIVE = "LIVE"
    TESTNET = "TESTNET"
    SIM = "SIM"


class Side(StrEnum):
    BUY = "BUY"
    SELL = "SELL"

    @property
    def opposite(self) -> "Side":
        """Return the side that closes what this one opened."""
        return Side.SELL if self is Side.BUY else Side.BUY

    @property
    def sign(self) -> int:
        """Return +1 for BUY, -1 for SELL."""
        return 1 if self is Side.BUY else -1


class OrderType(StrEnum):
    MARKET = "MARKET"
    LIMIT = "LIMIT"
    STOP_MARKET = "STOP_MARKET"
    STOP_LIMIT = "STOP_LIMIT"
    TAKE_PROFIT = "TAKE_PROFIT"  # market order at the trigger
    TAKE_PROFIT_LIMIT = "TAKE_PROFIT_LIMIT"


class TimeInForce(StrEnum):
    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"


class Urgency(IntEnum):
    """What a request to an exchange is for: the lower goes first when the weight of the address runs short."""

    PROTECTION = 0  # the way out, protection, and the reads that these wait for: may spend the reserve
    POSITION = 1  # an account that holds something, or may hold it
    NORMAL = 2
    BACKGROUND = 3  # history and samples: paced, so that they never crowd out the rest


class Leg(StrEnum):
    """The part an order plays in one bracket around one position."""

    ENTRY = "ENTRY"
    STOP = "STOP"
    TARGET = "TARGET"
    CLOSE = "CLOSE"  # asked for: by a signal, a person, a halt
    EMERGENCY = "EMERGENCY"  # the way out when protection failed


@dataclass(frozen=True, slots=True)
class Instrument:
    """The filters of one symbol. Units: prices in quote per base, quantities in base, notional in quote."""

    exchange: Exchange
    symbol: str
    base_asset: str
    quote_asset: str
    tick_size: Decimal
    step_size: Decimal
    min_quantity: Decimal
    max_quantity: Decimal
    max_market_quantity: Decimal
    min_notional: Decimal
