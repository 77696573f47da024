"""Public market data. Implements `market/ports.py MarketVenue`."""

from collections.abc import AsyncGenerator, AsyncIterator
from datetime import datetime, timedelta
from decimal import Decimal

from patriot.adapters.exchanges.binance.market_wire import (
    read_bars,
    read_instruments,
    read_mark_price,
    read_market_message,
    read_opens,
)
from patriot.adapters.exchanges.binance.session import BinanceSession, Parameters, Request
from patriot.adapters.exchanges.binance.sockets import SILENCE_SECONDS, Backoff, Socket, open_socket
from patriot.adapters.exchanges.binance.wire import UNREADABLE, Unknowns
from patriot.kernel.clock import to_epoch_ms
from patriot.kernel.errors import ExchangeError, ExchangeUnavailable
from patriot.market.events import Bar, MarkPrice
from patriot.trading.terms import Instrument

MINUTE = timedelta(minutes=1)
MOST_BARS = 1_500  # of one request
KLINE_WEIGHTS = ((99, 1), (499, 2), (1_000, 5), (MOST_BARS, 10))  # of a page of up to so many
EXCHANGE_INFO_WEIGHT = 1


class BinanceMarket:
    """Bars, prices and filters. The session needs no key."""

    def __init__(
        self,
        session: BinanceSession,
        unknown_seen: Unknowns | None = None,
        *,
        backoff: Backoff | None = None,
        silence_seconds: float = SILENCE_SECONDS,
    ) -> None:
        self.stream_problem = ""
        self._session = session
        self._unknown_seen = unknown_seen if unknown_seen is not None else Unknowns()
        self._backoff = backoff or Backoff()
        self._silence_seconds = silence_seconds

    async def server_time(self) -> datetime:
        """Return the exchange's clock, and correct our idea of it."""
        return await self._session.sync_time()

    async def instruments(self) -> list[Instrument]:
        """Return the filters of every tradable symbol."""
        request = _public("/fapi/v1/exchangeInfo", EXCHANGE_INFO_WEIGHT)
        return await self._session.call(request, lambda body: read_instruments(body, self._unknown_seen))

    async def bars(self, symbol: str, interval: str, limit: int) -> list[Bar]:
        """Return the newest closed bars, ascending by opened_at."""
        parameters: Parameters = {"symbol": symbol, "interval": interval, "limit": min(limit + 1, MOST_BARS)}
        return (await self._closed_bars(parameters, symbol, interval))[-limit:]

    async def bars_since(self, symbol: str, interval: str, opened_from: datetime) -> list[Bar]:
        """Return every closed bar that opened at or after a moment, ascending, all pages."""
        bars: list[Bar] = []
        start = to_epoch_ms(opened_from)
        while True:
            page: Parameters = {"symbol": symbol, "interval": interval, "startTime": start, "limit": MOST_BARS}
            found = await self._closed_bars(page, symbol, interval)
            bars += found
            if len(found) < MOST_BARS:
                return bars
            start = to_epoch_ms(found[-1].closed_at)

    async def mark_price(self, symbol: str) -> MarkPrice:
        """Return the mark and index price of this moment."""
        return await self._session.call(_public("/fapi/v1/premiumIndex", 1, {"symbol": symbol}), read_mark_price)

    async def mark_opens(self, symbol: str, first_at: datetime, minutes: int) -> list[Decimal | None]:
        """Return the mark price at the open of each of so many minutes; None where the exchange has none."""
        parameters: Parameters = {
            "symbol": symbol, "interval": "1m", "startTime": to_epoch_ms(first_at), "limit": minutes
        }  # fmt: skip
        request = _public("/fapi/v1/markPriceKlines", _kline_weight(minutes), parameters)
        opens = await self._session.call(request, read_opens)
        return [opens.get(first_at + n * MINUTE) for n in range(minutes)]

    async def stream(
        self, symbols: tuple[str, ...], intervals: tuple[str, ...]
    ) -> AsyncGenerator[Bar | MarkPrice, None]:
        """Yield closed bars and mark prices for ever, reconnecting; bars missed in a gap are filled in by request.

        Bars of one symbol and interval come ascending and once each. The first of each is the newest that is closed
        when the stream opens, so that bars read before leave no hole.
        """
        names = [f"{symbol.lower()}@{kind}" for symbol in symbols for kind in _kinds(intervals)]
        address = f"{self._session.ws_url}/market/stream?streams={'/'.join(names)}"
        newest: dict[tuple[str, str], Bar] = {}
        try:
            while True:
                wait_at_least: float | None = None
                try:
                    async for record in self._listen(address, symbols, intervals, newest):
                        yield record
                    self._lost("the line was lost")
                except ExchangeError as problem:
                    self._lost(str(problem))
                    wait_at_least = problem.retry_after_seconds if isinstance(problem, ExchangeUnavailable) else None
                await self._backoff.after_failure(wait_at_least)
        finally:
            self.stream_problem = ""  # nobody listens any more

    async def _listen(
        self,
        address: str,
        symbols: tuple[str, ...],
        intervals: tuple[str, ...],
        newest: dict[tuple[str, str], Bar],
    ) -> AsyncIterator[Bar | MarkPrice]:
        async with open_socket(self._session.http, address, self._silence_seconds) as socket:
            for symbol in symbols:
                for interval in intervals:
                    async for bar in self._missed(newest, symbol, interval):
                        yield bar
            async for record in self._read(socket, newest):
                yield record

    def _lost(self, problem: str) -> None:
        self.stream_problem = problem
        self._session.note("exchange.market_stream_lost", problem=problem)

    async def _read(self, socket: Socket, newest: dict[tuple[str, str], Bar]) -> AsyncIterator[Bar | MarkPrice]:
        while (message := await socket.next_message()) is not None:
            if not message:
                continue
            self._backoff.succeeded()
            self.stream_problem = ""
            try:
                record = read_market_message(message)
            except UNREADABLE as problem:
                self._unknown_seen.seen(f"unreadable market message: {type(problem).__name__}")
                continue
            if isinstance(record, MarkPrice):
                yield record
            elif record is not None:
                async for bar in self._in_order(newest, record):
                    yield bar

    async def _in_order(self, newest: dict[tuple[str, str], Bar], bar: Bar) -> AsyncIterator[Bar]:
        """Yield a bar from the stream after those missing before it; a repeated one gives nothing."""
        last = newest.get((bar.symbol, bar.interval))
        if last is not None and bar.opened_at > last.closed_at:
            async for missed in self._missed(newest, bar.symbol, bar.interval):
                yield missed
            last = newest[bar.symbol, bar.interval]
        if last is None or bar.opened_at > last.opened_at:
            newest[bar.symbol, bar.interval] = bar
            yield bar

    async def _missed(self, newest: dict[tuple[str, str], Bar], symbol: str, interval: str) -> AsyncIterator[Bar]:
        """Yield the closed bars after the newest one delivered; of a pair never delivered, the last one only."""
        pair = (symbol, interval)
        while True:
            last = newest.get(pair)
            if last is None:
                missed = await self.bars(symbol, interval, 1)
            else:
                start = to_epoch_ms(last.closed_at)
                page: Parameters = {"symbol": symbol, "interval": interval, "startTime": start, "limit": MOST_BARS}
                missed = await self._closed_bars(page, symbol, interval)
            for bar in missed:
                newest[pair] = bar
                yield bar
            if len(missed) < MOST_BARS:
                return

    async def _closed_bars(self, parameters: Parameters, symbol: str, interval: str) -> list[Bar]:
        now = await self._session.sync_time()  # asked first: what had closed by then is closed for certain
        request = _public("/fapi/v1/klines", _kline_weight(int(parameters["limit"])), parameters)
        return await self._session.call(request, lambda body: read_bars(body, symbol, interval, now))


def _kinds(intervals: tuple[str, ...]) -> list[str]:
    return [*(f"kline_{interval}" for interval in intervals), "markPrice@1s"]


def _kline_weight(limit: int) -> int:
    return next(weight for most, weight in KLINE_WEIGHTS if limit <= most)


def _public(path: str, weight: int, parameters: Parameters | None = None) -> Request:
    return Request("GET", path, parameters or {}, weight=weight, signed=False)
