"""The weight the adapter counts is the one the venue charges; and what the start of an account costs."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest

from patriot.accounts.ports import ApiKey
from patriot.adapters.exchanges.binance.budget import RateBudget
from patriot.adapters.exchanges.binance.market import BinanceMarket
from patriot.adapters.exchanges.binance.session import BinanceSession
from patriot.adapters.exchanges.binance.signing import Signer
from patriot.adapters.exchanges.binance.venue import BinanceAccountSession
from patriot.kernel.clock import ReplayClock, from_epoch_ms
from patriot.trading.reports import StreamResumed
from patriot.trading.terms import Side, Urgency
from tests.adapters.exchanges.binance.venue_kit import SYMBOL, bars_at, market_order, stop_order
from tests.sim.binance.client import START_MS, running_sim, write_dump

pytestmark = pytest.mark.integration


class Both(RateBudget):
    """Keep our count and the venue's apart."""

    ours = 0
    theirs = 0

    async def admit(self, weight: int, urgency: Urgency, account: object = None) -> None:
        self.ours += weight
        await super().admit(weight, urgency, account)

    def reported(self, used: int, *, asked_at: float) -> None:
        self.theirs = used


class Scene:
    def __init__(self, session: BinanceSession, budget: Both, clock: ReplayClock) -> None:
        self.budget = budget
        self.clock = clock
        self.venue = BinanceAccountSession.open(session)
        self.market = BinanceMarket(session)

    async def cost(self, request: Awaitable[object]) -> int:
        """Return what a request cost, and see that both counts agree on it."""
        ours, theirs = self.budget.ours, self.budget.theirs
        await request
        assert self.budget.ours - ours == self.budget.theirs - theirs, "counted otherwise than the venue charges"
        return self.budget.ours - ours


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    clock = ReplayClock(from_epoch_ms(START_MS + 1_000))
    dump = write_dump(tmp_path / f"{SYMBOL}-1m-2022-02.csv", bars_at(*["40000"] * 3))
    async with running_sim(dump) as sim, aiohttp.ClientSession() as http:
        trader = await sim.trader("10000")
        budget = Both(clock, weight_per_minute=None)
        signer = Signer(ApiKey(trader.api_key, trader.api_secret))
        session = BinanceSession(sim.rest, sim.streams, http, signer, clock=clock, budget=budget)
        await session.sync_time()
        yield Scene(session, budget, clock)


Request = Callable[[Scene], Awaitable[object]]
READS: list[tuple[str, Request, int]] = [
    ("open orders of a symbol", lambda s: s.venue.orders.open_orders(SYMBOL), 2),
    ("open orders of all", lambda s: s.venue.orders.open_orders(), 80),
    ("trades", lambda s: s.venue.orders.trades(SYMBOL, s.clock.now()), 5),
    ("order", lambda s: s.venue.orders.find_order(SYMBOL, "m-1", conditional=False), 1),
    ("conditional order", lambda s: s.venue.orders.find_order(SYMBOL, "s-1", conditional=True), 1),
    ("conditional order that is nowhere", lambda s: s.venue.orders.find_order(SYMBOL, "never", conditional=True), 6),
    ("snapshot", lambda s: s.venue.account.snapshot(), 5),
    ("income", lambda s: s.venue.account.income(s.clock.now()), 30),
    ("rights", lambda s: s.venue.account.permissions(), 1),
    ("account settings", lambda s: s.venue.account.account_settings(), 5),
    ("symbol settings", lambda s: s.venue.account.symbol_settings(SYMBOL), 5),
    ("instruments", lambda s: s.market.instruments(), 1),
    ("mark price", lambda s: s.market.mark_price(SYMBOL), 1),
    ("a few bars", lambda s: s.market.bars(SYMBOL, "1m", 10), 2),
    ("300 bars", lambda s: s.market.bars(SYMBOL, "1m", 300), 3),
    ("900 bars", lambda s: s.market.bars(SYMBOL, "1m", 900), 6),
    ("all bars since", lambda s: s.market.bars_since(SYMBOL, "1m", s.clock.now()), 11),
]


@pytest.mark.parametrize(("request_of", "weight"), [pytest.param(*row[1:], id=row[0]) for row in READS])
async def test_read_costs_what_the_venue_charges(scene: Scene, request_of: Request, weight: int) -> None:
    orders = scene.venue.orders
    assert await scene.cost(orders.place(market_order("m-1", Side.BUY, "0.010"), scene.clock.now())) == 0
    assert await scene.cost(orders.place(stop_order("s-1", Side.SELL, "0.010", "39000"), scene.clock.now())) == 0

    assert await scene.cost(request_of(scene)) == weight

    assert await scene.cost(orders.cancel(SYMBOL, "s-1", conditional=True)) == 1


async def test_start_of_an_account_with_one_position_costs_eight(scene: Scene) -> None:
    async def start() -> None:
        reports = scene.venue.account.stream.reports()
        assert isinstance(await anext(reports), StreamResumed)
        await scene.venue.orders.open_orders(SYMBOL, urgency=Urgency.PROTECTION)
        await scene.venue.account.snapshot(urgency=Urgency.POSITION)
        await reports.aclose()

    assert await scene.cost(start()) == 8
