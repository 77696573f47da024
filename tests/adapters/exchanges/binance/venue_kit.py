"""A Binance adapter connected to a real simulator on loopback. Shared by the tests of the adapter and of the port."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from patriot.accounts.ports import ApiKey
from patriot.adapters.exchanges.binance.budget import RateBudget
from patriot.adapters.exchanges.binance.market import BinanceMarket
from patriot.adapters.exchanges.binance.session import BinanceSession
from patriot.adapters.exchanges.binance.signing import Signer
from patriot.adapters.exchanges.binance.sockets import Backoff
from patriot.adapters.exchanges.binance.venue import BinanceAccountSession
from patriot.kernel.clock import ReplayClock, from_epoch_ms
from patriot.sim.engine import conditional
from patriot.trading.reports import VenueOrder
from patriot.trading.terms import OrderType, Side
from tests.sim.binance.client import MINUTE_MS, START_MS, Sim, Trader, running_sim, write_dump

SYMBOL = "BTCUSDT"
PRICE = Decimal("40000")


def quick_backoff() -> Backoff:
    """Come back at once: a test does not wait."""
    return Backoff(first_seconds=0.01, longest_seconds=0.02, chance=random.Random(1))


@dataclass(frozen=True, slots=True)
class Connection:
    """One account of the simulator behind the adapter's ports; `clock` is the venue's time, moved by `step`."""

    sim: Sim
    trader: Trader
    clock: ReplayClock
    session: BinanceSession
    venue: BinanceAccountSession
    market: BinanceMarket

    async def step(self, minutes: float) -> None:
        """Move the venue's clock, and ours with it."""
        await self.sim.step(minutes)
        self.clock.move_to(from_epoch_ms(START_MS + int(minutes * MINUTE_MS)))

    @property
    def now(self) -> datetime:
        return self.clock.now()


def bars_at(*closes: str) -> list[tuple[str, str, str, str]]:
    """Return minute bars that stand still at these prices."""
    return [(close, close, close, close) for close in closes]


@asynccontextmanager
async def connected(
    folder: Path, bars: list[tuple[str, str, str, str]], *, balance: str = "10000", silence_seconds: float = 30.0
) -> AsyncIterator[Connection]:
    """Run a stepped simulator over these bars and connect one new account to it."""
    async with (
        running_sim(write_dump(folder / f"{SYMBOL}-1m-2022-02.csv", bars)) as sim,
        aiohttp.ClientSession() as http,
    ):
        trader = await sim.trader(balance)
        clock = ReplayClock(from_epoch_ms(START_MS + 1_000))
        session = session_of(sim, http, clock, ApiKey(trader.api_key, trader.api_secret))
        yield Connection(
            sim=sim,
            trader=trader,
            clock=clock,
            session=session,
            venue=BinanceAccountSession.open(session, backoff=quick_backoff(), silence_seconds=silence_seconds),
            market=BinanceMarket(session, backoff=quick_backoff(), silence_seconds=silence_seconds),
        )


def session_of(sim: Sim, http: aiohttp.ClientSession, clock: ReplayClock, key: ApiKey) -> BinanceSession:
    """Return a session of one key on the simulator."""
    return BinanceSession(
        sim.rest,
        sim.streams,
        http,
        Signer(key),
        clock=clock,
        budget=RateBudget(clock, weight_per_minute=None),
    )


def market_order(client_order_id: str, side: Side, quantity: str, *, reduce_only: bool = False) -> VenueOrder:
    return VenueOrder(client_order_id, SYMBOL, side, OrderType.MARKET, Decimal(quantity), reduce_only)


def limit_order(client_order_id: str, side: Side, quantity: str, price: str) -> VenueOrder:
    return VenueOrder(client_order_id, SYMBOL, side, OrderType.LIMIT, Decimal(quantity), False, Decimal(price))


def stop_order(client_order_id: str, side: Side, quantity: str, trigger: str) -> VenueOrder:
    return VenueOrder(
        client_order_id,
        SYMBOL,
        side,
        OrderType.STOP_MARKET,
        Decimal(quantity),
        reduce_only=True,
        trigger_price=Decimal(trigger),
    )


def working_orders_have_ids_of_their_own(patch: pytest.MonkeyPatch) -> None:
    """Let a conditional order that fires become an order whose client id the simulator chooses."""
    work = conditional._child

    def own(floor: Any, account: Any, algo: Any) -> Any:
        return replace(work(floor, account, algo), client_order_id=f"x-{algo.algo_id}")

    patch.setattr(conditional, "_child", own)
