"""100 accounts behind one address under the venue's real request weights: a fan-out, and a restart with lost stops."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp

from bench import Figure, Server
from bench._platform import ACCOUNTS, Place, Running, all_ready, at_rest, open_platform, plan
from bench.order_path import TOKEN, StopWatch, at_rest_with, mark_price, signal
from patriot.adapters.simulator.control import SimControl
from patriot.host.onboarding import onboard
from patriot.host.sim_process import SimProcess, SimSpec
from patriot.kernel.tasks import while_serving
from patriot.strategies.events import SignalAction
from patriot.trading.steps import Step
from patriot.trading.terms import AccountId, Exchange

SIGNALS = 2  # with a minute's weight for each
LOST_STOPS = 20  # accounts whose stop goes while nobody is there
DEADLINE_SECONDS = 180.0
LOOK_SECONDS = 0.1
NOTE = f"{ACCOUNTS} accounts, 2,400 weight a minute, one address; clock and prices in real time"


async def measure(server: Server) -> list[Figure]:
    watch = StopWatch()
    with tempfile.TemporaryDirectory(prefix="patriot-bench-") as folder:
        sim = await SimProcess.start(SimSpec(Path(folder) / "sim", TOKEN, 7, "1", None))
        dsn = await server.fresh_database()
        place = Place(dsn, sim.base_url, sim.ws_url, sim.control_url, TOKEN, folder, live=True)
        try:
            async with open_platform(place, watch.reached) as running:
                figures, stops = await while_serving(trade(running, watch), running.platform.run())
                await lose_stops(running, stops)
            return figures + await restart(place)
        finally:
            await sim.stop()


async def trade(running: Running, watch: StopWatch) -> tuple[list[Figure], dict[AccountId, tuple[str, str]]]:
    """Open and close a position on every account, signal by signal; leave one open, and return its stops."""
    linked = await onboard(plan(), running.ports, running.vault, running.control)
    await all_ready(running.platform)
    await at_rest(running.platform)  # books are opened at the pace that the budget allows: minutes
    workers = running.platform.execution.workers
    submitted: list[float] = []
    served: list[float] = []
    for number in range(SIGNALS):
        await asyncio.sleep(60)  # the venue's minute
        watch.reset()
        await signal(running, SignalAction.BUY, await mark_price(running))
        recorded = time.perf_counter()
        await at_rest(running.platform)
        served.append(sum(len(worker.keeper.open_brackets) for worker in workers.values()))
        submitted.append(1000 * (max(watch.passed[Step.ORDER_SUBMITTED]) - recorded))
        if number < SIGNALS - 1:
            await signal(running, SignalAction.CLOSE, await mark_price(running))
            await at_rest_with(0, workers.values())
    state = await running.control.state()
    stops = {}
    for client in linked:
        held = [one for one in resting(state, client.uid) if "s" in one["client_algo_id"][27:]]
        if held and len(stops) < LOST_STOPS:
            stops[AccountId(client.account_id)] = (held[0]["symbol"], held[0]["client_algo_id"])
    figure = Figure(
        "signal to 100 followers all submitted, real weights",
        "ms",
        tuple(submitted),
        150,
        60,
        lower_is_better=True,
        note=NOTE,
    )
    others = Figure(
        "followers served by a signal, real weights", "accounts", tuple(served), ACCOUNTS, ACCOUNTS, note=NOTE
    )
    return [figure, others], stops


async def lose_stops(running: Running, stops: dict[AccountId, tuple[str, str]]) -> None:
    """Cancel stops at the venue, as a client would, while nobody is there to put them back."""
    for account_id, (symbol, client_id) in stops.items():
        session = running.ports.venue(Exchange.BINANCE).session(await running.vault.open(account_id))
        await session.orders.cancel(symbol, client_id, conditional=True)


async def restart(place: Place) -> list[Figure]:
    """Start the platform on what it left; the venue's own books say when every position has its stop again."""
    begun = time.perf_counter()
    with (Path(place.folder) / "restarts.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench._platform", json.dumps(asdict(place))),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )
    assert process.stdout is not None
    try:
        async with aiohttp.ClientSession() as http, asyncio.timeout(DEADLINE_SECONDS):
            protecting = asyncio.create_task(protected(SimControl(http, place.control_url, place.token)))
            await process.stdout.readline()
            ready = time.perf_counter() - begun
            covered = await protecting - begun
    finally:
        process.kill()
        await process.wait()
    name = f"restart, {ACCOUNTS} accounts, real weights"
    lost = f"{LOST_STOPS} stops were lost meanwhile; from process start"
    return [
        Figure(f"{name}: none naked", "s", (covered,), 5, 3, lower_is_better=True, note=lost),
        Figure(f"{name}: all ready", "s", (ready,), 60, 30, lower_is_better=True, note="from process start"),
    ]


async def protected(control: SimControl) -> float:
    """Return the moment at which every open position has a stop that rests on the venue."""
    while True:
        state = await control.state()
        naked = [
            uid
            for uid, account in state["accounts"].items()
            if any(Decimal(row["quantity"]) for row in account["positions"])
            and not any("s" in one["client_algo_id"][27:] for one in resting(state, int(uid)))
        ]
        if not naked:
            return time.perf_counter()
        await asyncio.sleep(LOOK_SECONDS)


def resting(state: dict[str, Any], uid: int) -> list[dict[str, Any]]:
    """Return the conditional orders that rest for an account."""
    return [one for one in state["accounts"][str(uid)]["algo_orders"] if one["status"] == "NEW"]
