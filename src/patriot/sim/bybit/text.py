"""How Bybit writes numbers, and the words it has for the engine's words."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from patriot.sim.engine.words import PositionSide, SelfTradePrevention, Side, TimeInForce, WorkingType

_EIGHT: Final = Decimal("0.00000001")

SIDES: Final = {Side.BUY: "Buy", Side.SELL: "Sell"}
TIMES_IN_FORCE: Final = {
    TimeInForce.GTC: "GTC",
    TimeInForce.IOC: "IOC",
    TimeInForce.FOK: "FOK",
    TimeInForce.GTX: "PostOnly",
    TimeInForce.GTD: "GTC",  # Bybit has no such order; the engine's other face does
}
POSITION_INDEXES: Final = {PositionSide.BOTH: 0, PositionSide.LONG: 1, PositionSide.SHORT: 2}
TRIGGERS: Final = {
    WorkingType.CONTRACT_PRICE: "LastPrice",
    WorkingType.MARK_PRICE: "MarkPrice",
    WorkingType.INDEX_PRICE: "IndexPrice",
}
NO_TOLERANCE: Final = "NONE"  # of an order without slippage tolerance, where the engine keeps how its price was found
SELF_TRADES: Final = {
    SelfTradePrevention.NONE: "None",
    SelfTradePrevention.EXPIRE_TAKER: "CancelTaker",
    SelfTradePrevention.EXPIRE_MAKER: "CancelMaker",
    SelfTradePrevention.EXPIRE_BOTH: "CancelBoth",
}


def number(value: Decimal) -> str:
    """Return a number as the wire shows it: no exponent, no zeros behind.

    >>> number(Decimal("0E-8")), number(Decimal("1E+2")), number(Decimal("0.4460"))
    ('0', '100', '0.446')
    """
    if not value:
        return "0"
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def money(value: Decimal) -> str:
    """Return an amount of the quote asset, to the 1e-8 that the engine keeps."""
    return number(value.quantize(_EIGHT, ROUND_HALF_EVEN))


def given(value: Decimal) -> str:
    """Return a number, empty when it is zero."""
    return number(value) if value else ""
