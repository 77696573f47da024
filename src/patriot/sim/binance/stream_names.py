"""Names of market streams: what each one carries, and on which door of the stream host it is served.

Source: USD-M WebSocket market streams and "Important WebSocket Change Notice", read 2026-11-22.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

DEFAULT_DEPTH_MS = 250


class Entry(StrEnum):
    """The doors of the stream host.

    The legacy paths (/ws and /stream without a door) carry market data of both kinds and nothing of any account.
    """

    PUBLIC = "public"  # the book
    MARKET = "market"  # trades, prices, klines
    PRIVATE = "private"  # accounts
    LEGACY = "legacy"

    @property
    def prefix(self) -> str:
        """What its paths begin with."""
        return "" if self is Entry.LEGACY else f"/{self.value}"

    def serves(self, door: "Entry") -> bool:
        """Whether a stream of that door is heard here."""
        return self is door or (self is Entry.LEGACY and door is not Entry.PRIVATE)


class Kind(StrEnum):
    """What a market stream carries, in the words of its name."""

    AGGREGATE_TRADE = "aggTrade"
    TRADE = "trade"
    MARK_PRICE = "markPrice"
    KLINE = "kline"
    CONTINUOUS_KLINE = "continuousKline"
    MINI_TICKER = "miniTicker"
    TICKER = "ticker"
    BOOK_TICKER = "bookTicker"
    PARTIAL_DEPTH = "partialDepth"
    DEPTH = "depth"
    LIQUIDATION = "forceOrder"
    INSTRUMENT = "contractInfo"
    ABSENT = ""  # a stream of the venue about what is not listed here: indices, other contracts, trading sessions


@dataclass(frozen=True, slots=True)
class StreamName:
    """A market stream; an empty symbol stands for all of them."""

    kind: Kind
    door: Entry
    symbol: str = ""
    interval: str = ""  # of klines
    levels: int = 0  # of partial depth
    every_ms: int = 0  # how often it is sent at most; 0: at once


_PUBLIC = frozenset({Kind.TRADE, Kind.BOOK_TICKER, Kind.PARTIAL_DEPTH, Kind.DEPTH})
_OF_SYMBOL = re.compile(
    r"(?P<symbol>[a-z0-9]+)@(?:"
    r"(?P<plain>aggTrade|trade|miniTicker|ticker|bookTicker|forceOrder)"
    r"|markPrice(?P<second>@1s)?"
    r"|kline_(?P<interval>\w+)"
    r"|depth(?P<levels>5|10|20)?(?:@(?P<speed>100|250|500)ms)?"
    r"|rpiDepth@(?P<rpi>500)ms"  # with orders of retail price improvement, of which there are none
    r"|(?P<absent>compositeIndex|assetIndex))"
)
_CONTINUOUS = re.compile(r"(?P<pair>[a-z0-9]+)_(?P<contract>perpetual|\w+)@continuousKline_(?P<interval>\w+)")
_SECOND_MS, _SLOW_MARK_MS, _TICKER_MS = 1_000, 3_000, 2_000
_OF_ALL = {
    "!bookTicker": StreamName(Kind.BOOK_TICKER, Entry.PUBLIC),
    "!markPrice@arr": StreamName(Kind.MARK_PRICE, Entry.MARKET, every_ms=_SLOW_MARK_MS),
    "!markPrice@arr@1s": StreamName(Kind.MARK_PRICE, Entry.MARKET, every_ms=_SECOND_MS),
    "!miniTicker@arr": StreamName(Kind.MINI_TICKER, Entry.MARKET, every_ms=_SECOND_MS),
    "!ticker@arr": StreamName(Kind.TICKER, Entry.MARKET, every_ms=_SECOND_MS),
    "!forceOrder@arr": StreamName(Kind.LIQUIDATION, Entry.MARKET, every_ms=_SECOND_MS),
    "!contractInfo": StreamName(Kind.INSTRUMENT, Entry.MARKET),
    "!assetIndex@arr": StreamName(Kind.ABSENT, Entry.MARKET),
    "tradingSession": StreamName(Kind.ABSENT, Entry.MARKET),
}
_EVERY_MS = {Kind.MINI_TICKER: _TICKER_MS, Kind.TICKER: _TICKER_MS, Kind.LIQUIDATION: _SECOND_MS}


def market_stream(text: str) -> StreamName | None:
    """Read the name of a market stream; None for any other text, a listen key among them.

    >>> market_stream("btcusdt@depth5@100ms")
    StreamName(kind=<Kind.PARTIAL_DEPTH: 'partialDepth'>, door=<Entry.PUBLIC: 'public'>, symbol='BTCUSDT', \
interval='', levels=5, every_ms=100)
    """
    if text in _OF_ALL:
        return _OF_ALL[text]
    found = _OF_SYMBOL.fullmatch(text)
    if found is None:
        continuous = _CONTINUOUS.fullmatch(text)
        return _continuous(continuous) if continuous is not None else None
    symbol = found["symbol"].upper()
    if found["plain"]:
        kind = Kind(found["plain"])
        return StreamName(kind, _door(kind), symbol, every_ms=_EVERY_MS.get(kind, 0))
    if found["interval"]:
        return StreamName(Kind.KLINE, Entry.MARKET, symbol, interval=found["interval"])
    if found["absent"]:
        return StreamName(Kind.ABSENT, Entry.MARKET, symbol)
    if "@markPrice" in text:
        every_ms = _SECOND_MS if found["second"] else _SLOW_MARK_MS
        return StreamName(Kind.MARK_PRICE, Entry.MARKET, symbol, every_ms=every_ms)
    kind = Kind.PARTIAL_DEPTH if found["levels"] else Kind.DEPTH
    every_ms = int(found["rpi"] or found["speed"] or DEFAULT_DEPTH_MS)
    return StreamName(kind, Entry.PUBLIC, symbol, levels=int(found["levels"] or 0), every_ms=every_ms)


def _continuous(found: re.Match[str]) -> StreamName:
    kind = Kind.CONTINUOUS_KLINE if found["contract"] == "perpetual" else Kind.ABSENT
    return StreamName(kind, Entry.MARKET, found["pair"].upper(), interval=found["interval"])


def _door(kind: Kind) -> Entry:
    return Entry.PUBLIC if kind in _PUBLIC else Entry.MARKET
