"""Market data against a real simulator: closed bars only, none lost in a gap, none twice."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest
import structlog

from patriot.accounts.ports import ApiKey
from patriot.adapters.exchanges.binance import market
from patriot.adapters.exchanges.binance.budget import RateBudget
from patriot.adapters.exchanges.binance.venue import BinanceVenue
from patriot.kernel.clock import from_epoch_ms
from patriot.market.events import Bar, MarkPrice
from patriot.sim.exchange import VenueName
from tests.adapters.exchanges.binance.venue_kit import Connection, bars_at, connected
from tests.sim.binance.client import MINUTE_MS, START_MS
from tests.support import eventually

pytestmark = pytest.mark.integration

RISING = bars_at(*[str(40_000 + 10 * minute) for minute in range(60)])


@pytest.fixture
async def exchange(tmp_path: Path) -> AsyncIterator[Connection]:
    async with connected(tmp_path, RISING) as connection:
        yield connection


class Watcher:
    """Collects market records in a task of its own."""

    def __init__(self, exchange: Connection, interval: str) -> None:
        self.bars: list[Bar] = []
        self.marks: list[MarkPrice] = []
        self._task = asyncio.ensure_future(self._watch(exchange, interval))

    async def _watch(self, exchange: Connection, interval: str) -> None:
        async for record in exchange.market.stream(("BTCUSDT",), (interval,)):
            (self.bars if isinstance(record, Bar) else self.marks).append(record)  # type: ignore[arg-type]

    @property
    def minutes(self) -> list[int]:
        """The minutes at which the bars opened."""
        opened = [bar.opened_at - from_epoch_ms(START_MS) for bar in self.bars]
        return [int(since.total_seconds()) // 60 for since in opened]

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})


async def test_instruments_carry_the_filters_of_the_symbol(exchange: Connection) -> None:
    (instrument,) = [found for found in await exchange.market.instruments() if found.symbol == "BTCUSDT"]
    assert instrument.step_size == Decimal("0.001")
    assert instrument.min_notional > 0


async def test_server_time_is_the_venues_clock(exchange: Connection) -> None:
    await exchange.step(7)
    assert await exchange.market.server_time() == from_epoch_ms(START_MS + 7 * MINUTE_MS)


async def test_bars_are_the_newest_closed_ones(exchange: Connection) -> None:
    await exchange.step(10.5)  # in the middle of the eleventh minute

    bars = await exchange.market.bars("BTCUSDT", "1m", 3)

    assert [bar.close for bar in bars] == [Decimal(40_070), Decimal(40_080), Decimal(40_090)]
    assert bars[-1].closed_at == from_epoch_ms(START_MS + 10 * MINUTE_MS)


async def test_mark_price_is_of_this_moment(exchange: Connection) -> None:
    await exchange.step(5)
    price = await exchange.market.mark_price("BTCUSDT")
    assert (price.mark_price, price.at) == (Decimal(40_040), exchange.now)


async def test_mark_price_of_each_minute_of_the_past_is_its_open_and_none_where_there_is_none(
    exchange: Connection,
) -> None:
    await exchange.step(7)
    opens = await exchange.market.mark_opens("BTCUSDT", from_epoch_ms(START_MS - 2 * MINUTE_MS), 10)
    played = [bar.open for bar in await exchange.market.bars("BTCUSDT", "1m", 7)]
    assert opens[:9] == [None, None, *played]
    assert await exchange.market.mark_opens("BTCUSDT", from_epoch_ms(START_MS + 3 * MINUTE_MS), 1) == [played[3]]


async def test_stream_gives_every_closed_bar_once_and_in_order(exchange: Connection) -> None:
    await exchange.step(2)
    watcher = Watcher(exchange, "1m")
    await eventually(lambda: watcher.bars)  # the newest closed one, at the opening

    await exchange.step(6)
    await eventually(lambda: len(watcher.bars) >= 5)

    assert watcher.minutes == [1, 2, 3, 4, 5]
    assert watcher.marks
    await watcher.stop()


@pytest.mark.parametrize("page", [market.MOST_BARS, 3])
async def test_bars_of_a_gap_come_before_newer_ones_however_many_pages_they_fill(
    exchange: Connection, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(market, "MOST_BARS", page)
    await exchange.step(2)
    watcher = Watcher(exchange, "1m")
    await eventually(lambda: watcher.bars)

    await exchange.sim.server._sessions[VenueName.BINANCE].close()  # every line breaks at once
    await exchange.step(9)
    await eventually(lambda: exchange.market.stream_problem == "the line was lost")
    await eventually(lambda: len(watcher.bars) >= 8)
    await exchange.step(12)
    await eventually(lambda: len(watcher.bars) >= 11)

    assert watcher.minutes == list(range(1, 12))
    assert exchange.market.stream_problem == ""
    await watcher.stop()


async def test_what_no_side_of_the_venue_knows_is_counted_by_the_venue(exchange: Connection) -> None:
    clock = exchange.clock
    venue = BinanceVenue(exchange.sim.rest, exchange.sim.streams, exchange.session.http, clock, RateBudget(clock, None))
    one, other = (venue.session(ApiKey(name, "secret")) for name in ("one", "other"))
    for number, counts in enumerate((venue.market._unknown_seen, one.account.unknown_seen, other.orders.unknown_seen)):
        counts.seen(f"event {number}")
        counts.seen("event of all")
    assert venue.unknown_seen == {"event 0": 1, "event 1": 1, "event 2": 1, "event of all": 3}


async def test_stream_that_nobody_listens_to_any_more_is_no_problem(exchange: Connection) -> None:
    await exchange.step(2)
    watcher = Watcher(exchange, "1m")
    await eventually(lambda: watcher.bars)
    with structlog.testing.capture_logs() as lines:
        await exchange.sim.server._sessions[VenueName.BINANCE].close()
        await eventually(lambda: exchange.market.stream_problem == "the line was lost")
    assert {"exchange.market_stream_lost"} <= {line["event"] for line in lines}
    await watcher.stop()
    assert exchange.market.stream_problem == ""
