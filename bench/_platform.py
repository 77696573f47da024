"""The platform that the order path is measured on; `python -m bench._platform` is one of its own, to be restarted.

All services in one process, as in `patriot demo`; runners and simulator beside it. Where a place is not live, the
venue's clock stands still, so prices do not move and its rate limits are off: what is measured is the way, not the
market.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import aiohttp
import uvloop

from patriot.adapters.runners import SubprocessRunners
from patriot.adapters.simulator.control import SimControl
from patriot.adapters.vault import PostgresShelf, Vault, load_master_key
from patriot.demo.replay import ReplayPace
from patriot.host.logs import log_to
from patriot.host.paper_clients import DemoPlan, PlannedClient, PlannedStrategy
from patriot.host.root_file import RootFile
from patriot.host.venue_clock import VenueClock
from patriot.kernel.clock import ReplayClock, SystemClock
from patriot.kernel.ids import derived_id
from patriot.kernel.tasks import while_serving
from patriot.services.all_in_one import Platform
from patriot.services.pace import LivePace
from patriot.services.plugged_in import ExchangeAddress, plug_in
from patriot.services.ports import Ports
from patriot.services.table import Supplies
from patriot.trading.steps import Reached, pass_by
from patriot.trading.terms import StrategyId, UserId

ACCOUNTS = 100
STRATEGY = StrategyId(derived_id("bench-strategy"))
BALANCE = Decimal(10_000)
POLL_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Place:
    """Where a platform finds its database, its exchange and its files."""

    dsn: str
    base_url: str
    ws_url: str
    control_url: str
    token: str
    folder: str
    live: bool = False  # the venue's clock runs, prices move, and requests are counted as the venue counts them


@dataclass(frozen=True, slots=True)
class Running:
    """A platform at work."""

    ports: Ports
    base_url: str
    http: aiohttp.ClientSession
    vault: Vault
    control: SimControl
    platform: Platform


def plan() -> DemoPlan:
    strategies = tuple(
        PlannedStrategy(STRATEGY if kind == "ema_cross" else StrategyId(derived_id(kind)), kind, kind, {}, risk)
        for kind, risk in (("ema_cross", Decimal("0.01")), ("donchian", Decimal("0.01")))
    )
    clients = tuple(
        PlannedClient(number, UserId(derived_id("bench-user", number)), BALANCE, False, ((STRATEGY, Decimal(1)),))
        for number in range(ACCOUNTS)
    )
    return DemoPlan(strategies, clients)


@asynccontextmanager
async def open_platform(place: Place, reached: Reached = pass_by) -> AsyncIterator[Running]:
    """Wire everything; `Running.platform.run()` starts it."""
    folder = Path(place.folder)
    log_to(folder / "platform.log", "WARNING")
    async with aiohttp.ClientSession() as http:
        control = SimControl(http, place.control_url, place.token)
        now = (await control.health()).now
        replayed = ReplayClock(now)
        pace = LivePace() if place.live else ReplayPace(replayed)
        clock = VenueClock(SystemClock(), now, 1) if place.live else replayed
        address = ExchangeAddress(place.base_url, place.ws_url, replayed=not place.live)
        async with plug_in(place.dsn, address, clock, reached) as plugged:
            vault = Vault(PostgresShelf(plugged.database), load_master_key(folder / "master.key", None))
            spawn = SubprocessRunners(folder / "runners.log")
            shelf = RootFile(folder / "roots.jsonl")
            platform = Platform(Supplies(plugged.ports, plugged.read_models, lambda: vault, shelf, spawn, pace))
            yield Running(plugged.ports, place.base_url, http, vault, control, platform)


async def all_ready(platform: Platform) -> None:
    """Return when every account is in step with its exchange."""
    workers = platform.execution.workers
    while len(workers) < ACCOUNTS or not all(worker.ready.is_set() for worker in workers.values()):  # noqa: ASYNC110
        await asyncio.sleep(POLL_SECONDS)


async def at_rest(platform: Platform) -> None:
    """Return when no account has anything under way."""
    while platform.execution.busy or await platform.execution.tail.behind():  # noqa: ASYNC110
        await asyncio.sleep(POLL_SECONDS)


async def _announce(running: Running) -> None:
    await all_ready(running.platform)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    strategies = running.platform.strategies
    while len(strategies.host.runner_pids()) < len(plan().strategies) or strategies.busy:  # noqa: ASYNC110
        await asyncio.sleep(POLL_SECONDS)
    await at_rest(running.platform)
    sys.stdout.write(json.dumps([os.getpid(), *strategies.host.runner_pids().values()]) + "\n")
    sys.stdout.flush()
    loop = asyncio.get_running_loop()
    ended = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(ended), sys.stdin)
    await ended.read()


async def main() -> None:
    async with open_platform(Place(**json.loads(sys.argv[1]))) as running:
        await while_serving(_announce(running), running.platform.run())


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(main())
