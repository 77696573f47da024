"""The names of what can be listened to, and what each of them means. Pure.

Source: bybit-exchange.github.io/docs/v5, "WebSocket Stream", read 2026-11-22. Depth 500 was refused on linear by the
venue itself in that year, though older clients still offer it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

INTERVALS: Final = {  # of klines: name on the wire to the engine's
    "1": "1m",
    "3": "3m",
    "5": "5m",
    "15": "15m",
    "30": "30m",
    "60": "1h",
    "120": "2h",
    "240": "4h",
    "360": "6h",
    "720": "12h",
    "D": "1d",
    "W": "1w",
    "M": "1M",
}
PRIVATE_TOPICS: Final = frozenset(
    {
        *("order", "execution", "execution.fast", "position", "wallet", "greeks"),
        *(f"{topic}.{category}" for topic in ("order", "execution") for category in ("spot", "inverse", "option")),
        *(f"execution.fast.{category}" for category in ("spot", "inverse", "option")),
        *("order.linear", "execution.linear", "execution.fast.linear", "position.linear"),
        *("position.inverse", "position.option"),
        *("dcp.future", "dcp.spot", "dcp.option"),
        *("spread.order", "spread.execution"),
    }
)
_CATEGORIES: Final = ("spot", "linear", "inverse", "option")
_SHAPE: Final = re.compile(
    r"(?:orderbook\.(?P<depth>1|50|200|1000|rpi)"
    r"|kline\.(?P<interval>[0-9]+|[DWM])"
    r"|(?P<plain>publicTrade|tickers|liquidation|allLiquidation|priceLimit|insurance|adlAlert))"
    r"\.(?P<symbol>[A-Za-z0-9]+)"
)
_INSURANCE_GROUPS: Final = ("USDT", "USDC", "inverse")


class Kind(StrEnum):
    """What a public topic tells."""

    BOOK = "orderbook"
    KLINE = "kline"
    TRADE = "publicTrade"
    TICKER = "tickers"
    LIQUIDATION = "liquidation"
    ALL_LIQUIDATION = "allLiquidation"
    PRICE_LIMIT = "priceLimit"
    ADL_ALERT = "adlAlert"  # of all symbols of a coin
    INSURANCE = "insurance"  # of the isolated pools; the shared one is never told, so this stays silent


@dataclass(frozen=True, slots=True)
class Topic:
    """A public topic taken apart."""

    name: str
    kind: Kind
    symbol: str
    detail: str = ""  # depth of a book, interval of klines


def parse(name: str, symbols: frozenset[str]) -> Topic | None:
    """Return a public topic of one of these symbols; None when there is no such topic.

    >>> parse("orderbook.50.BTCUSDT", frozenset({"BTCUSDT"}))
    Topic(name='orderbook.50.BTCUSDT', kind=<Kind.BOOK: 'orderbook'>, symbol='BTCUSDT', detail='50')
    >>> parse("orderbook.50.btcusdt", frozenset({"BTCUSDT"})) is None
    True
    """
    found = _SHAPE.fullmatch(name)
    if found is None:
        return None
    symbol, depth, interval = found["symbol"], found["depth"], found["interval"]
    if found["plain"] in (Kind.INSURANCE, Kind.ADL_ALERT):
        return Topic(name, Kind(found["plain"]), symbol) if symbol in _INSURANCE_GROUPS and symbols else None
    if symbol not in symbols or (interval is not None and interval not in INTERVALS):
        return None
    if depth is not None:
        return Topic(name, Kind.BOOK, symbol, depth)
    if interval is not None:
        return Topic(name, Kind.KLINE, symbol, interval)
    return Topic(name, Kind(found["plain"]), symbol)


def mixes_all_and_one(names: list[str]) -> bool:
    """Whether private topics name all categories and one category of the same thing, which the venue refuses.

    >>> mixes_all_and_one(["order", "order.linear"]), mixes_all_and_one(["order", "execution.linear"])
    (True, False)
    """
    asked = set(names)
    return any(f"{name}.{category}" in asked for name in asked for category in _CATEGORIES)
