"""The words of the simulated venue: sides, types, states, reasons. Time is UTC milliseconds, money is Decimal."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from hashlib import blake2b
from typing import Final

ZERO: Final = Decimal(0)
MONEY_STEP: Final = Decimal("0.00000001")  # the venue keeps USDT to 1e-8
QUOTE_ASSET: Final = "USDT"
MILLISECONDS_PER_MINUTE: Final = 60_000


def made_client_id(kind: str, number: int) -> str:
    """Return the client id that the venue makes for an order that brought none: 22 characters, the same each time.

    >>> made_client_id("order", 1000000001) == made_client_id("algo", 1000000001)
    False
    """
    return blake2b(f"{kind}{number}".encode(), digest_size=11).hexdigest()


def round_money(amount: Decimal) -> Decimal:
    """Round an amount of the quote asset once, to the venue's 1e-8, half to even."""
    return amount.quantize(MONEY_STEP, ROUND_HALF_EVEN)


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
    TRAILING_STOP_MARKET = "TRAILING_STOP_MARKET"


class TimeInForce(StrEnum):
    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    GTX = "GTX"  # post only
    GTD = "GTD"  # until a time


class OrderStatus(StrEnum):
    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    EXPIRED_IN_MATCH = "EXPIRED_IN_MATCH"  # by self-trade prevention


class SelfTradePrevention(StrEnum):
    """Whose order ends when an order would meet another of its own account."""

    NONE = "NONE"
    EXPIRE_TAKER = "EXPIRE_TAKER"
    EXPIRE_MAKER = "EXPIRE_MAKER"
    EXPIRE_BOTH = "EXPIRE_BOTH"


class AlgoOrigin(StrEnum):
    """Why a conditional order exists: somebody placed it, or it is the protection that a position carries."""

    USER = "USER"
    TAKE_PROFIT = "TAKE_PROFIT"
    STOP_LOSS = "STOP_LOSS"
    TRAILING_STOP = "TRAILING_STOP"


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
    AMENDMENT = "AMENDMENT"
    CALCULATED = "CALCULATED"  # a trade of a liquidation or of auto-deleveraging


class WorkingType(StrEnum):
    MARK_PRICE = "MARK_PRICE"
    CONTRACT_PRICE = "CONTRACT_PRICE"
    INDEX_PRICE = "INDEX_PRICE"


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
    MARGIN_TRANSFER = "MARGIN_TRANSFER"  # between the wallet and an isolated position
    INSURANCE_CLEAR = "INSURANCE_CLEAR"


class Liquidity(StrEnum):
    """Whom an order meets besides the seeded book.

    PRIVATE: nobody but its own account, so that one account never changes another's fills (stepped replay).
    SHARED: every resting order of every account, by price and then time.
    """

    PRIVATE = "PRIVATE"
    SHARED = "SHARED"


class InstrumentStatus(StrEnum):
    TRADING = "TRADING"
    HALTED = "HALTED"  # no new orders, cancels pass


class Closing(StrEnum):
    """By whom an order was made that its account did not send."""

    NOBODY = ""
    LIQUIDATION = "LIQUIDATION"  # client id autoclose-...
    DELEVERAGING = "DELEVERAGING"  # client id adl_autoclose-...


class Permission(StrEnum):
    READ = "read"
    TRADE = "trade"
    WITHDRAW = "withdraw"
    TRANSFER = "transfer"
