"""A hundred accounts with open positions start again behind one address, under the venue's real limits."""

import asyncio
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web

from patriot.accounts.ports import ApiKey
from patriot.adapters.exchanges.binance.budget import RateBudget
from patriot.adapters.exchanges.binance.session import BinanceSession
from patriot.adapters.exchanges.binance.signing import Signer
from patriot.adapters.exchanges.binance.venue import BinanceAccountSession
from patriot.adapters.exchanges.binance.venue_time import VenueTime
from patriot.kernel.clock import to_epoch_ms
from patriot.sim.binance.endpoints import ENDPOINTS
from patriot.sim.binance.face import BinanceFace
from patriot.sim.binance.limits import LimitExceeded, Limits, RateLimiter
from patriot.sim.binance.requests import Call
from patriot.simulation.loop import VirtualClock, run_virtually
from patriot.simulation.network import open_session
from patriot.trading.reports import StreamResumed
from patriot.trading.terms import Urgency
from tests.simulation.test_network import serving

pytestmark = pytest.mark.unit
ACCOUNTS = 100
FACE = BinanceFace  # importing it fills the table of endpoints
ACCOUNT = {
    "assets": [{"asset": "USDT", "walletBalance": "1", "availableBalance": "1", "unrealizedProfit": "0"}],
    "positions": [],
}
EMPTY = ("/fapi/v1/openOrders", "/fapi/v1/openAlgoOrders", "/fapi/v1/income", "/fapi/v1/userTrades")


class Venue:
    """The venue's own limiter and weights, before answers that say little."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.limiter = RateLimiter(self.clock, Limits())
        self.refused = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/private/ws":
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            async for _ in socket:
                pass
            return socket
        endpoint = ENDPOINTS.find(request.method, request.path)
        assert endpoint is not None
        try:
            used = self.limiter.count_weight("address", endpoint.weight_of(Call(dict(request.query))))
        except LimitExceeded as refusal:
            self.refused += 1
            headers = {"Retry-After": str(refusal.retry_after_seconds)}
            body = {"code": refusal.code, "msg": refusal.message}
            return web.json_response(body, status=refusal.status, headers=headers)
        return web.json_response(self.body(request.path), headers={"X-MBX-USED-WEIGHT-1M": str(used)})

    def body(self, path: str) -> object:
        if path in EMPTY:
            return []
        if path == "/fapi/v2/account":
            return ACCOUNT
        return {"serverTime": to_epoch_ms(self.clock.now()), "listenKey": "a-listen-key"}


@dataclass
class Starts:
    """When each account was protected, and when it was ready; seconds from the restart."""

    protected: list[float] = field(default_factory=list)
    ready: list[float] = field(default_factory=list)
    booked: list[float] = field(default_factory=list)
    refused: int = 0


async def start_all(used_before: int) -> Starts:
    venue, starts = Venue(), Starts()
    async with serving(venue.answer) as url, open_session() as http:
        budget, time = RateBudget(venue.clock), VenueTime(venue.clock)
        venue.limiter.count_weight("address", used_before)

        async def start(number: int) -> None:
            account = open_account(url, http, budget, time, number)
            began = venue.clock.monotonic()
            books = asyncio.create_task(account.account.income(venue.clock.now(), urgency=Urgency.BACKGROUND))
            await account.orders.open_orders("BTCUSDT", urgency=Urgency.PROTECTION)
            starts.protected.append(venue.clock.monotonic() - began)
            reports = account.account.stream.reports()
            while not isinstance(await anext(reports), StreamResumed):
                pass
            await account.account.snapshot(urgency=Urgency.POSITION)
            starts.ready.append(venue.clock.monotonic() - began)
            await books
            starts.booked.append(venue.clock.monotonic() - began)
            await reports.aclose()

        await asyncio.gather(*(start(number) for number in range(ACCOUNTS)))
        starts.refused = venue.refused
    return starts


def open_account(
    url: str, http: aiohttp.ClientSession, budget: RateBudget, time: VenueTime, number: int
) -> BinanceAccountSession:
    signer = Signer(ApiKey(f"key-{number}", f"secret-{number}"))
    clock = VirtualClock()
    return BinanceAccountSession.open(BinanceSession(url, url, http, signer, clock=clock, budget=budget, time=time))


def test_address_that_a_life_before_had_used_up_is_not_asked_for_more() -> None:
    starts = run_virtually(start_all(used_before=2_390))

    assert starts.refused == 0
    assert max(starts.protected) <= 60.1


@pytest.mark.parametrize("used_before", [0, 1_000, 1_700])
def test_none_is_naked_after_five_seconds_and_all_are_ready_after_sixty(used_before: int) -> None:
    starts = run_virtually(start_all(used_before))

    assert len(starts.booked) == ACCOUNTS
    assert max(starts.protected) < 5
    assert max(starts.ready) <= 60.1
    assert starts.refused == 0, "the venue never had to say that it is too much"
    assert max(starts.booked) < 6 * 60


async def link_all() -> tuple[float, float]:
    """Open the books of many at once; return the longest wait for what an entry of another reads, and for the books."""
    venue, waited = Venue(), 0.0
    async with serving(venue.answer) as url, open_session() as http:
        budget, time = RateBudget(venue.clock), VenueTime(venue.clock)

        async def open_books(number: int) -> None:
            ledger = open_account(url, http, budget, time, number).account
            await ledger.income(venue.clock.now(), urgency=Urgency.BACKGROUND)
            await ledger.snapshot()
            await ledger.income(venue.clock.now(), urgency=Urgency.BACKGROUND)

        books = asyncio.gather(*(open_books(number) for number in range(ACCOUNTS)))
        trader = open_account(url, http, budget, time, ACCOUNTS).account
        while not books.done():
            asked_at = venue.clock.monotonic()
            await trader.snapshot()
            waited = max(waited, venue.clock.monotonic() - asked_at)
            await asyncio.wait([books], timeout=5)
        assert venue.refused == 0
    return waited, venue.clock.monotonic()


def test_accounts_that_are_linked_at_once_hold_up_nobody_who_trades() -> None:
    waited, booked = run_virtually(link_all())

    assert waited < 1
    assert booked < 8 * 60
