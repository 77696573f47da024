"""All times sent to the venue are the venue's, whatever our own clock says or does."""

from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web

from patriot.adapters.exchanges.binance.venue import BinanceAccountSession
from patriot.adapters.exchanges.binance.venue_time import VenueTime
from patriot.host.venue_clock import VenueClock
from patriot.kernel.clock import FakeClock, ReplayClock, from_epoch_ms, to_epoch_ms
from patriot.kernel.errors import ExchangeUnavailable
from patriot.trading.terms import Side
from tests.adapters.exchanges.binance.test_session import talking_to
from tests.adapters.exchanges.binance.venue_kit import market_order

pytestmark = pytest.mark.integration

TRUE_NOW = datetime(2030, 1, 2, 12, tzinfo=UTC)


class WrongClock(FakeClock):
    """A machine whose wall clock is off, and may step; its monotonic time is right."""

    def __init__(self, ahead: timedelta) -> None:
        super().__init__(TRUE_NOW)
        self.ahead = ahead

    def now(self) -> datetime:
        return super().now() + self.ahead

    def true(self) -> datetime:
        return super().now()


def test_half_of_the_way_there_and_back_is_taken_as_the_way_back() -> None:
    clock = WrongClock(timedelta(seconds=8))
    time, asked_at = VenueTime(clock), clock.monotonic()
    clock.advance(timedelta(seconds=2))

    wrong_by = time.measured(clock.true() - timedelta(seconds=1), asked_at=asked_at)

    assert wrong_by == timedelta(seconds=-8)
    assert time.now() == clock.true()


@pytest.mark.parametrize("step", [-30, -3, 0, 3, 30])
def test_clock_that_steps_does_not_move_the_venues_time(step: int) -> None:
    clock = WrongClock(timedelta(seconds=8))
    time = VenueTime(clock)
    time.measured(clock.true(), asked_at=clock.monotonic())

    clock.ahead += timedelta(seconds=step)
    clock.advance(timedelta(seconds=10))

    assert time.now() == clock.true()
    assert time.stamp(clock.now() - timedelta(seconds=2)) == to_epoch_ms(clock.true() - timedelta(seconds=2))


@pytest.mark.parametrize("speed", [1, 60])
def test_clock_that_the_venue_drives_carries_its_time_on_at_its_speed(speed: int) -> None:
    machine = FakeClock()
    clock = VenueClock(machine, TRUE_NOW, speed)
    time = VenueTime(clock)
    time.measured(TRUE_NOW + timedelta(seconds=3), asked_at=machine.monotonic())  # the venue was heard late

    machine.advance(timedelta(seconds=10))

    assert time.now() == TRUE_NOW + timedelta(seconds=3 + 10 * speed)
    assert time.stamp(clock.now()) == to_epoch_ms(time.now())


def test_moment_of_submission_is_never_stamped_in_the_venues_future() -> None:
    clock = WrongClock(timedelta(seconds=8))
    time, sent_at = VenueTime(clock), clock.now()
    time.measured(clock.true(), asked_at=clock.monotonic())

    clock.ahead = timedelta()  # the clock was set right between the event and the wire

    assert time.stamp(sent_at) == to_epoch_ms(clock.true())


@pytest.mark.parametrize("ahead", [-8, 0, 8, 3_600])
def test_reading_since_a_moment_of_a_wrong_clock_begins_before_it_truly_was(ahead: int) -> None:
    clock = WrongClock(timedelta(seconds=ahead))
    time, moment, truly = VenueTime(clock), clock.now(), clock.true()
    time.measured(clock.true(), asked_at=clock.monotonic())
    clock.ahead = timedelta()
    clock.advance(timedelta(seconds=30))
    time.measured(clock.true(), asked_at=clock.monotonic())

    assert from_epoch_ms(time.reading_from(moment)) <= truly
    assert from_epoch_ms(time.reading_from(truly)) <= truly


def test_moment_on_record_from_a_life_whose_clock_was_ahead_is_read_early_enough() -> None:
    time = VenueTime(FakeClock(TRUE_NOW))
    assert from_epoch_ms(time.reading_from(TRUE_NOW + timedelta(seconds=8))) <= TRUE_NOW


def test_replay_clock_is_the_venues_and_is_not_corrected() -> None:
    clock = ReplayClock(TRUE_NOW)
    time = VenueTime(clock)
    time.measured(TRUE_NOW + timedelta(minutes=1), asked_at=clock.monotonic())
    assert time.now() == TRUE_NOW
    assert time.reading_from(TRUE_NOW) == time.stamp(TRUE_NOW) == to_epoch_ms(TRUE_NOW)
    assert not time.is_due()


class Venue:
    """A venue that knows what time it is, refuses requests of another time, and holds one execution."""

    def __init__(self, clock: WrongClock) -> None:
        self.clock = clock
        self.executed_at = to_epoch_ms(clock.true())
        self.asked: list[str] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        now_ms = to_epoch_ms(self.clock.true())
        sent = dict(request.query) | dict(await request.post())
        if request.path == "/fapi/v1/time":
            return web.json_response({"serverTime": now_ms})
        if not -1_000 <= now_ms - int(str(sent["timestamp"])) <= int(str(sent["recvWindow"])):
            return web.json_response({"code": -1021, "msg": "outside of the recvWindow"}, status=400)
        if request.path == "/fapi/v1/order":
            return web.json_response({"code": -2019, "msg": "Margin is insufficient."}, status=400)
        fill = {
            "id": 1, "orderId": 2, "symbol": "BTCUSDT", "side": "BUY", "price": "1", "qty": "1", "realizedPnl": "0",
            "commission": "0", "commissionAsset": "USDT", "time": self.executed_at, "maker": False,
        }  # fmt: skip
        return web.json_response([fill] if int(str(sent.get("startTime", 0))) <= self.executed_at else [])


@pytest.mark.parametrize("ahead", [-8, -3, 0.9, 8, 45])
async def test_machine_clock_that_is_off_loses_no_fill(ahead: float) -> None:
    clock = WrongClock(timedelta(seconds=ahead))
    venue = Venue(clock)
    async with talking_to(venue.answer, clock=clock) as (session, _):
        placed_at = clock.now()
        clock.advance(timedelta(milliseconds=200))
        trades = await BinanceAccountSession.open(session).orders.trades("BTCUSDT", placed_at)

    assert [trade.trade_id for trade in trades] == ["1"]


async def test_read_refused_for_its_time_is_repeated_with_the_right_one() -> None:
    clock = WrongClock(timedelta())
    venue = Venue(clock)
    async with talking_to(venue.answer, clock=clock) as (session, _):
        orders = BinanceAccountSession.open(session).orders
        await orders.trades("BTCUSDT", clock.now())
        venue.clock = WrongClock(timedelta())
        venue.clock.advance(timedelta(seconds=20))  # the venue's clock is another one now
        venue.asked.clear()
        await orders.trades("BTCUSDT", clock.now())

    assert venue.asked == ["/fapi/v1/userTrades", "/fapi/v1/time", "/fapi/v1/userTrades"]
    assert session.counters["exchange.clock_corrected"] == 1


@pytest.mark.parametrize("ahead", [-8, 0, 8])
async def test_order_of_a_deposed_owner_expires_whatever_its_clock_says(ahead: float) -> None:
    clock = WrongClock(timedelta(seconds=ahead))
    venue = Venue(clock)
    async with talking_to(venue.answer, clock=clock) as (session, _):
        await session.sync_time()
        submitted_at = clock.now()
        clock.advance(timedelta(seconds=5.1))
        with pytest.raises(ExchangeUnavailable, match="-1021"):
            await BinanceAccountSession.open(session).orders.place(market_order("x-1", Side.BUY, "1"), submitted_at)


async def test_venue_is_asked_for_its_time_once_a_minute() -> None:
    clock = WrongClock(timedelta())
    venue = Venue(clock)
    async with talking_to(venue.answer, clock=clock) as (session, _):
        orders = BinanceAccountSession.open(session).orders
        for _ in range(4):
            await orders.trades("BTCUSDT", clock.now())
            clock.advance(timedelta(seconds=30))

    assert venue.asked.count("/fapi/v1/time") == 2
