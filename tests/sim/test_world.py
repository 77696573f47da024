"""The world of the simulator: one feed, several venues, times that accounts set, shocks, and the way back."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patriot.kernel.errors import InvalidInput, StartupError
from patriot.sim.engine.events import KlineClosed, OrderUpdated, PriceMoved, VenueEvent
from patriot.sim.engine.operations import PlaceOrder, SetCountdown
from patriot.sim.engine.records import Order
from patriot.sim.engine.venue import Venue
from patriot.sim.engine.words import Liquidity, OrderStatus, OrderType, Permission, Side, TimeInForce
from patriot.sim.exchange import VenueName
from patriot.sim.journal import Journal
from patriot.sim.listing import listed
from patriot.sim.prices.feed import Feed
from patriot.sim.prices.model import ModelFeed
from patriot.sim.prices.recorded import load_recorded
from patriot.sim.wire_times import WireTimes
from patriot.sim.world import INSURANCE_FUND, Record, World
from tests.sim.binance.client import MINUTE_MS, START_MS, flat, write_dump

pytestmark = pytest.mark.integration

D = Decimal
SYMBOL = "BTCUSDT"
BINANCE, BYBIT = VenueName.BINANCE, VenueName.BYBIT


def recording(tmp_path: Path, minutes: int = 24) -> Feed:
    return load_recorded(write_dump(tmp_path / "BTCUSDT-1m.csv", flat("40000.0", minutes)), seed=7)


def world_on(feed: Feed, liquidity: Liquidity = Liquidity.PRIVATE) -> World:
    venues = {
        name: Venue(
            seed=7,
            instruments=[instrument for instrument in listed(name) if instrument.symbol in feed.symbols],
            liquidity=liquidity,
            first_uid=first_uid,
        )
        for name, first_uid in ((BINANCE, 1), (BYBIT, 5_000_001))
    }
    return World(venues, feed, 7, WireTimes(lambda: 0.0), liquidity)


@contextmanager
def journaled(path: Path, world: World) -> Iterator[World]:
    """Bring a world back to where its journal ends, and let it write on."""
    journal: Journal[Record] = Journal.open(path, msgspec.json.Decoder(Record).decode)
    try:
        world.restore(journal.replay())
        world.start(journal)
        yield world
    finally:
        journal.close()


def state(world: World) -> bytes:
    books = {name: exchange.venue.state() for name, exchange in world.exchanges.items()}
    return msgspec.json.encode([books, world.now_ms, world.ticks_played, world.bars_played])


def opened(world: World, venue: VenueName, balance: str = "100000") -> int:
    return world.exchanges[venue].open_account(D(balance), (Permission.READ, Permission.TRADE)).uid


def good_till(uid: int, at_ms: int, price: str = "39000.0") -> PlaceOrder:
    return PlaceOrder(
        uid,
        SYMBOL,
        Side.BUY,
        OrderType.LIMIT,
        D("0.010"),
        D(price),
        TimeInForce.GTD,
        good_till_ms=at_ms,
    )


def market(uid: int, side: Side = Side.BUY, quantity: str = "0.010") -> PlaceOrder:
    return PlaceOrder(uid, SYMBOL, side, OrderType.MARKET, D(quantity))


def told_by(world: World, venue: VenueName) -> list[VenueEvent]:
    told: list[VenueEvent] = []
    world.exchanges[venue].subscribe(told.extend)
    return told


def step(world: World, minutes: float, *, stop: bool = False) -> tuple[str, ...]:
    return world.advance(START_MS + int(minutes * MINUTE_MS), stop_on_activity=stop).stopped_by


def test_order_ends_at_its_own_time_between_two_prices(tmp_path: Path) -> None:
    world = world_on(recording(tmp_path))
    world.start(None)
    told = told_by(world, BYBIT)
    uid = opened(world, BYBIT)
    until_ms = START_MS + 15 * MINUTE_MS + 7_000  # GTD is kept in whole seconds
    order = world.exchanges[BYBIT].order_from(good_till(uid, until_ms))

    assert world.next_tick_ms() < until_ms
    assert step(world, 15, stop=True) == ("kline:BTCUSDT:15m",)
    stopped_by = step(world, 20, stop=True)

    assert stopped_by == (f"private:{uid}",)
    assert world.now_ms == until_ms
    ended = world.exchanges[BYBIT].venue.order(uid, SYMBOL, order_id=order.order_id)
    assert (ended.status, ended.updated_ms) == (OrderStatus.EXPIRED, until_ms)
    assert [event.at_ms for event in told if isinstance(event, OrderUpdated)][-1] == until_ms


def test_countdown_of_one_venue_leaves_the_other_alone(tmp_path: Path) -> None:
    world = world_on(recording(tmp_path))
    world.start(None)
    uids = {name: opened(world, name) for name in (BINANCE, BYBIT)}
    for name, uid in uids.items():
        world.exchanges[name].apply(good_till(uid, START_MS + 11 * MINUTE_MS))
    world.exchanges[BINANCE].apply(SetCountdown(uids[BINANCE], SYMBOL, START_MS + 90_000))
    step(world, 3)

    left = {name: len(world.exchanges[name].venue.open_orders(uid)) for name, uid in uids.items()}
    assert left == {BINANCE: 0, BYBIT: 1}


@settings(max_examples=20)
@given(cuts=st.lists(st.integers(0, 75), max_size=4).map(sorted), liquidity=st.sampled_from(Liquidity))
def test_world_that_was_killed_at_any_place_ends_in_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], liquidity: Liquidity
) -> None:
    folder = tmp_path_factory.mktemp("worlds")

    def run(path: Path, stops: list[int]) -> bytes:
        uids: dict[VenueName, int] = {}
        for stop in [*stops, 78]:
            with journaled(path, world_on(recording(folder), liquidity)) as world:
                if not uids:
                    for name in (BINANCE, BYBIT):
                        uids[name] = opened(world, name)
                        world.exchanges[name].apply(market(uids[name]))
                        for until in (665_000, 750_001, 1_250_000):
                            world.exchanges[name].apply(good_till(uids[name], START_MS + until))
                    world.exchanges[BYBIT].apply(SetCountdown(uids[BYBIT], SYMBOL, START_MS + 850_003))
                    world.shock(SYMBOL, D("0.99"), 3)
                step(world, stop / 3)  # behind the end of the recording, too
                before = state(world)
            with journaled(path, world_on(recording(folder), liquidity)) as world:
                assert state(world) == before
        return before

    assert run(folder / "a.journal", cuts) == run(folder / "b.journal", [])


def test_funding_behind_the_end_of_a_recording_comes_back_in_its_place(tmp_path: Path) -> None:
    """Between two orders whose prices are the same: only the sequence tells them apart."""
    path = tmp_path / "sim.journal"
    with journaled(path, world_on(recording(tmp_path), Liquidity.SHARED)) as world:
        uid = opened(world, BINANCE)
        world.exchanges[BINANCE].apply(market(uid, quantity="1.000"))
        clock = [world.now_ms]
        world.run_by(lambda: clock[0])
        clock[0] = START_MS + 9 * 60 * MINUTE_MS
        world.advance(clock[0], stop_on_activity=False)
        world.exchanges[BINANCE].apply(market(uid, Side.SELL, "1.000"))
        before = msgspec.json.encode(world.exchanges[BINANCE].venue.state())
        paid = [income for income in world.exchanges[BINANCE].venue.income(uid) if income.income_type == "FUNDING_FEE"]
    with journaled(path, world_on(recording(tmp_path), Liquidity.SHARED)) as world:
        assert msgspec.json.encode(world.exchanges[BINANCE].venue.state()) == before

    assert len(paid) == 1


def test_model_of_many_symbols_comes_back_in_the_same_bytes(tmp_path: Path) -> None:
    def feed() -> Feed:
        return ModelFeed(7, START_MS, ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT"))

    with journaled(tmp_path / "sim.journal", world_on(feed())) as world:
        uid = opened(world, BYBIT)
        world.exchanges[BYBIT].apply(market(uid))
        step(world, 30)
        before = state(world)
    with journaled(tmp_path / "sim.journal", world_on(feed())) as world:
        assert state(world) == before


def test_journal_of_another_book_is_refused(tmp_path: Path) -> None:
    with journaled(tmp_path / "sim.journal", world_on(recording(tmp_path))):
        pass
    with (
        pytest.raises(StartupError, match="shared books"),
        journaled(tmp_path / "sim.journal", world_on(recording(tmp_path), Liquidity.SHARED)),
    ):
        pass


def test_shock_moves_prices_at_once_and_back_after_its_time(tmp_path: Path) -> None:
    world = world_on(recording(tmp_path))
    world.start(None)
    step(world, 2)
    told = told_by(world, BINANCE)
    world.shock(SYMBOL, D("0.9"), 2)
    step(world, 6)

    moved = [event for event in told if isinstance(event, PriceMoved)]
    assert (moved[0].at_ms, moved[0].ticker.last) == (START_MS + 2 * MINUTE_MS, D("36000.0"))
    assert {event.ticker.last for event in moved if event.at_ms < START_MS + 4 * MINUTE_MS} == {D(36000)}
    assert {event.ticker.last for event in moved if event.at_ms >= START_MS + 4 * MINUTE_MS} == {D(40000)}
    closed = [event.bar for event in told if isinstance(event, KlineClosed) and event.interval == "1m"]
    assert [(bar.low, bar.close) for bar in closed] == [(D(36000), D(36000))] * 2 + [(D(40000), D(40000))] * 2


def test_shock_liquidates_what_stood_on_borrowed_money(tmp_path: Path) -> None:
    world = world_on(recording(tmp_path))
    world.start(None)
    uid = opened(world, BINANCE, "1000")
    filled = world.exchanges[BINANCE].order_from(market(uid, quantity="0.200"))
    world.shock(SYMBOL, D("0.5"), 1)

    assert filled.status is OrderStatus.FILLED
    assert world.exchanges[BINANCE].venue.positions(uid) == ()
    last = world.exchanges[BINANCE].venue.orders(uid)[-1]
    assert isinstance(last, Order)
    assert last.client_order_id.startswith("autoclose-")


@pytest.mark.parametrize(
    ("symbol", "factor", "minutes", "said"),
    [
        ("ETHUSDT", "0.9", 1, "symbol: expected one with a price"),
        (SYMBOL, "0", 1, "factor: expected a number above 0"),
        (SYMBOL, "11", 1, "factor: expected a number above 0"),
        (SYMBOL, "0.9", 0, "minutes: expected 1 to"),
    ],
)
def test_shock_out_of_range_is_refused(tmp_path: Path, symbol: str, factor: str, minutes: int, said: str) -> None:
    world = world_on(recording(tmp_path))
    world.start(None)

    with pytest.raises(InvalidInput, match=said):
        world.shock(symbol, D(factor), minutes)


def test_skew_changes_the_clock_that_clients_see_and_nothing_else(tmp_path: Path) -> None:
    world = world_on(recording(tmp_path))
    world.start(None)
    exchange = world.exchanges[BINANCE]
    exchange.skew_ms = -5_000

    assert exchange.wire_now_ms == world.now_ms - 5_000 == exchange.now_ms - 5_000
    assert world.exchanges[BYBIT].wire_now_ms == world.now_ms


def test_trading_opens_when_every_symbol_has_a_price(tmp_path: Path) -> None:
    klines = write_dump(tmp_path / "BTCUSDT-1m.csv", flat("40000.0", 3))
    trades = tmp_path / "ETHUSDT-aggTrades.csv"
    trades.write_text(f"1,2000.00,1.000,1,1,{START_MS + 45_000},true\n2,2001.00,1.000,2,2,{START_MS + 130_000},true\n")
    world = world_on(load_recorded(klines, trades))
    world.start(None)

    assert world.now_ms == START_MS + 45_000
    assert {symbol for symbol in ("BTCUSDT", "ETHUSDT") if world.exchanges[BYBIT].venue.ticker(symbol)} == {
        "BTCUSDT",
        "ETHUSDT",
    }


@pytest.mark.parametrize(("liquidity", "fund"), [(Liquidity.SHARED, INSURANCE_FUND), (Liquidity.PRIVATE, D(0))])
def test_insurance_fund_of_shared_books_begins_with_money_once(
    tmp_path: Path, liquidity: Liquidity, fund: Decimal
) -> None:
    path = tmp_path / "journal"
    with journaled(path, world_on(recording(tmp_path), liquidity)) as world:
        begun = state(world)
        assert [e.venue.pools().insurance for e in world.exchanges.values()] == [fund, fund]

    with journaled(path, world_on(recording(tmp_path), liquidity)) as again:
        assert state(again) == begun
        assert [e.venue.pools().insurance_funded for e in again.exchanges.values()] == [fund, fund]
