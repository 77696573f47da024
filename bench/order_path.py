"""The order path on the real thing: embedded PostgreSQL, the simulator over the wire, every service, 100 accounts."""

from __future__ import annotations

import asyncio
import json
import re
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from bench import Figure, Server
from bench._platform import ACCOUNTS, POLL_SECONDS, STRATEGY, Place, Running, all_ready, at_rest, open_platform, plan
from patriot.execution.worker import AccountWorker
from patriot.host.onboarding import onboard
from patriot.host.paper_clients import SYMBOL
from patriot.host.sim_process import SimProcess, SimSpec
from patriot.kernel.eventstore import Actor, ActorType, Context
from patriot.kernel.lease import LEASE_TTL
from patriot.kernel.tasks import while_serving
from patriot.orders.commands import PlaceOrder
from patriot.risk.commands import AccountRisk, EffectiveLimits
from patriot.strategies.commands import RecordSignal
from patriot.strategies.events import SignalAction
from patriot.trading.steps import Step
from patriot.trading.terms import Exchange, OrderId, OrderType, Side, SignalId

RECORDING = Path(__file__).parents[1] / "examples" / "data" / "BTCUSDT-1m-3d.csv.gz"
TOKEN = "bench"  # noqa: S105  of a simulator that lives for a minute on loopback
SINGLE_ORDERS = 40
SIGNALS = 12  # each opens a position on every account, and is followed by one that closes it
RESTARTS = 3
DEADLINE_SECONDS = 60.0
ACKNOWLEDGED = (Step.ORDER_SENT, Step.STOP_ACCEPTED, Step.TARGET_SENT, Step.CLOSE_SENT)
ONE = f"one account, {SINGLE_ORDERS} orders, from PlaceOrder on: there is no POST /orders yet"
LIMITS = EffectiveLimits(Decimal(10**9), Decimal(10**9), Decimal(5), Decimal(1), Decimal(1))


class StopWatch:
    """When each named step of the order path was passed."""

    def __init__(self) -> None:
        self.passed: dict[Step, list[float]] = defaultdict(list)

    def reached(self, step: Step) -> None:
        self.passed[step].append(time.perf_counter())

    def reset(self) -> float:
        self.passed.clear()
        return time.perf_counter()


async def at_rest_with(brackets: int, workers: Iterable[AccountWorker]) -> None:
    """Return when each account has so many open brackets, nothing under way, and all of it is durable.

    Asked of the accounts, not of the steps: an answer that came too late to be one (0.6 s) is found out by asking.
    """
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while any(len(one.keeper.open_brackets) != brackets or one.busy for one in workers):  # noqa: ASYNC110
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        busy = [(one.account_id, len(one.keeper.open_brackets), one.busy) for one in workers]
        late = [found for found in busy if found[1:] != (brackets, {})]
        raise RuntimeError(f"not at rest with {brackets} brackets in {DEADLINE_SECONDS:.0f} s: {late}") from None


async def measure(server: Server) -> list[Figure]:
    watch = StopWatch()
    with tempfile.TemporaryDirectory(prefix="patriot-bench-") as folder:
        sim = await SimProcess.start(SimSpec(Path(folder) / "sim", TOKEN, 7, "step", RECORDING))
        dsn = await server.fresh_database()
        place = Place(dsn, sim.base_url, sim.ws_url, sim.control_url, TOKEN, folder)
        try:
            async with open_platform(place, watch.reached) as running:
                figures = await while_serving(orders(running, watch), running.platform.run())
            return figures + await restarts(place, sim.pid)
        finally:
            await sim.stop()


async def orders(running: Running, watch: StopWatch) -> list[Figure]:
    await onboard(plan(), running.ports, running.vault, running.control)
    await all_ready(running.platform)
    await at_rest(running.platform)
    price = await mark_price(running)
    worker = next(iter(running.platform.execution.workers.values()))
    single = [await one_order(running, watch, worker, price) for _ in range(SINGLE_ORDERS)]
    figures = [
        Figure("command to exchange acknowledgement, p50", "ms", tuple(single), lower_is_better=True, note=ONE),
        Figure(
            "command to exchange acknowledgement, p95",
            "ms",
            (percentile(single, 95),),
            100,
            25,
            lower_is_better=True,
            note=ONE,
        ),
    ]
    figures += await fan_out(running, watch, price)
    await signal(running, SignalAction.BUY, price)  # the restarts find a position on every account
    await at_rest_with(1, running.platform.execution.workers.values())
    return figures


async def mark_price(running: Running) -> Decimal:
    async with running.http.get(f"{running.base_url}/fapi/v1/premiumIndex", params={"symbol": SYMBOL}) as answer:
        price = Decimal(str((await answer.json())["markPrice"]))
    return price.quantize(Decimal("0.1"))


async def one_order(running: Running, watch: StopWatch, worker: AccountWorker, price: Decimal) -> float:
    """Return the milliseconds from the command to the exchange's answer; the position is closed again."""
    now, equity = running.ports.clock.now(), Decimal(10_000)
    command = PlaceOrder(
        order_id=OrderId(running.ports.ids.new()),
        user_id=worker.user_id,
        account_id=worker.account_id,
        strategy_id=STRATEGY,
        signal_id=None,
        exchange=Exchange.BINANCE,
        symbol=SYMBOL,
        side=Side.BUY,
        order_type=OrderType.MARKET,
        quantity=Decimal("0.01"),
        price=None,
        stop_price=_at(price, "0.9"),
        take_profit_price=_at(price, "1.1"),
        reference_price=price,
        valid_until=now + timedelta(seconds=10),
        risk=AccountRisk(equity, equity, equity),
        limits=LIMITS,
        halt=None,
        at=now,
    )
    start = watch.reset()
    decided = await worker.dispatch(command, Context(command.order_id, account_id=worker.account_id))
    worker.enter(decided.events)
    await at_rest_with(1, [worker])
    took = watch.passed[Step.ORDER_SENT][0] - start
    await worker.close(SYMBOL, STRATEGY, "BENCH")
    await at_rest_with(0, [worker])
    return 1000 * took


async def signal(running: Running, action: SignalAction, price: Decimal) -> None:
    now = running.ports.clock.now()
    entry = action is SignalAction.BUY
    command = RecordSignal(
        signal_id=SignalId(running.ports.ids.new()),
        strategy_id=STRATEGY,
        exchange=Exchange.BINANCE,
        symbol=SYMBOL,
        action=action,
        reference_price=price,
        stop_price=_at(price, "0.9") if entry else None,
        take_profit_price=_at(price, "1.1") if entry else None,
        confidence=Decimal(1),
        indicators={},
        bar_closed_at=now,
        generated_at=now,
        valid_until=now + timedelta(seconds=10),
    )
    await running.ports.bus.dispatch(
        command, Context(command.signal_id, actor=Actor(ActorType.STRATEGY, str(STRATEGY)))
    )


async def fan_out(running: Running, watch: StopWatch, price: Decimal) -> list[Figure]:
    submitted: list[float] = []
    answered: list[float] = []
    rates: list[float] = []
    workers = running.platform.execution.workers.values()
    for _ in range(SIGNALS):
        begun = watch.reset()
        await signal(running, SignalAction.BUY, price)
        recorded = time.perf_counter()
        await at_rest_with(1, workers)
        submitted.append(1000 * (max(watch.passed[Step.ORDER_SUBMITTED]) - recorded))
        answered.append(1000 * (max(watch.passed[Step.ORDER_SENT]) - recorded))
        await signal(running, SignalAction.CLOSE, price)
        await at_rest_with(0, workers)
        rates.append(sum(len(watch.passed[step]) for step in ACKNOWLEDGED) / (time.perf_counter() - begun))
        await at_rest(running.platform)
    note = f"order.submitted durable for all {ACCOUNTS}; {SIGNALS} signals"
    worst = f"the slowest of {SIGNALS} signals"
    return [
        Figure("signal to 100 followers all submitted, p50", "ms", tuple(submitted), lower_is_better=True, note=note),
        Figure(
            "signal to 100 followers all submitted, p99",
            "ms",
            (max(submitted),),
            500,
            150,
            lower_is_better=True,
            note=worst,
        ),
        Figure("signal to 100 followers all acknowledged", "ms", tuple(answered), lower_is_better=True),
        Figure(
            *("orders sustained end to end", "orders/s", tuple(rates), 1000 / 60, 200),
            note="entries, stops, targets and closes of 100 accounts, signal after signal",
        ),
    ]


async def restarts(place: Place, sim_pid: int) -> list[Figure]:
    """Start the platform anew on what it left: after clean ends, and once after a kill, whose leases must run out."""
    seconds: list[float] = []
    megabytes = 0.0
    for _ in range(RESTARTS):
        process, took, pids = await start_again(place)
        seconds.append(took)
        megabytes = sum(resident_megabytes(pid) for pid in (*pids, sim_pid))
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()
    process, _, _ = await start_again(place)
    process.kill()
    await process.wait()
    process, killed, _ = await start_again(place)
    process.kill()
    await process.wait()
    name = f"restart to trading again, {ACCOUNTS} accounts with open positions"
    leases = f"by another machine: it waits up to {LEASE_TTL.total_seconds():.0f} s for the leases of the dead"
    processes = f"{len(pids)} processes of the platform and sim, {ACCOUNTS} accounts, resident"
    return [
        Figure(name, "s", tuple(seconds), 30, 5, lower_is_better=True, note="from process start, after a clean end"),
        Figure(f"{name}, after a kill", "s", (killed,), 30, 5, lower_is_better=True, note=leases),
        Figure("idle memory", "MB", (megabytes,), 400, 250, lower_is_better=True, note=processes),
    ]


async def start_again(place: Place) -> tuple[asyncio.subprocess.Process, float, list[int]]:
    start = time.perf_counter()
    with (Path(place.folder) / "restarts.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench._platform", json.dumps(asdict(place))),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )
    assert process.stdout is not None
    async with asyncio.timeout(DEADLINE_SECONDS):
        line = await process.stdout.readline()
        took = time.perf_counter() - start
        if line.strip() != b"ready":
            raise RuntimeError((Path(place.folder) / "restarts.log").read_text()[-2000:])
        return process, took, json.loads(await process.stdout.readline())


def resident_megabytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status")
    found = re.search(r"VmRSS:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return int(found[1]) / 1024 if found else float("nan")


def percentile(values: list[float], rank: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[rank - 1]


def _at(price: Decimal, factor: str) -> Decimal:
    return (price * Decimal(factor)).quantize(Decimal("0.1"))
