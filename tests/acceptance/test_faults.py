"""The exchange times out, answers 503, drops, repeats and delays what it says: the laws hold all the same.

These runs have the patience of a live platform with protection; the demo's own is longer, so that a busy machine
changes no fill. With lost orders they are less patient than either: a receive window is all that proves them absent.
"""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from patriot.demo.demo import Demo, DemoOptions, DemoProgress, Finished
from patriot.host.data_folder import DataFolder
from patriot.host.verify import records_of
from patriot.judge.summary import Summary, judge_run
from patriot.orders.patience import DeskPatience
from patriot.trading.steps import pass_by
from patriot.trading.terms import AccountId
from tests.acceptance.demo_runs import DemoFolder
from tests.support import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
PATIENCE = DeskPatience(entry=(0.3, 1, 2, 6), protection=(0.1, 0.3, 0.6, 1, 2, 4, 7), lag=0)
ORDER, ALGO = "/fapi/v1/order", "/fapi/v1/algoOrder"


def rest(fault: str, path: str, times: int = 1, **more: object) -> dict[str, object]:
    return {"fault": fault, "match": {"method": "POST", "path": path}, "times": times, **more}


def stream(fault: str, event: str, times: int, **more: object) -> dict[str, object]:
    return {"stream": fault, "event": event, "times": times, **more}


FAULTS: dict[str, list[dict[str, Any]]] = {
    "entries": [rest(fault, ORDER) for fault in ("503_before", "503_after", "timeout_after", "timeout_before")],
    "protection": [rest(fault, ALGO) for fault in ("503_after", "timeout_after", "503_before", "timeout_before")],
    "dropped": [stream("drop", "ORDER_TRADE_UPDATE", 12), stream("drop", "ALGO_UPDATE", 6)],
    "repeated": [stream("duplicate", "ORDER_TRADE_UPDATE", 60), stream("duplicate", "ALGO_UPDATE", 60)],
    "late": [
        stream("delay", "ORDER_TRADE_UPDATE", 12, delay_ms=400),
        stream("delay", "ALGO_UPDATE", 6, delay_ms=400),
        rest("delay", ORDER, 2, delay_ms=400),
        rest("delay", ALGO, 2, delay_ms=400),
    ],
    "money unsaid": [stream("drop", "ACCOUNT_UPDATE", 40)],
    "cut": [stream("disconnect", "ORDER_TRADE_UPDATE", 3), stream("disconnect", "ALGO_UPDATE", 3)],
}


async def run_with(faults: list[dict[str, Any]], folder: DemoFolder) -> Summary:
    """Run a demo that meets these faults with its first orders."""

    async def judge(finished: Finished) -> Summary:
        uids = {AccountId(client.account_id): client.uid for client in finished.set_up.linked}
        state = await finished.control.state()
        records = await records_of(finished.plugged, finished.vault, DataFolder(folder.path), folder.path / "invoices")
        return await judge_run(records, state, uids, bars=finished.bars, wall_seconds=0)

    options = DemoOptions(folder.path, folder.accounts, Path(folder.data), seed=folder.seed, database_url=folder.dsn)
    run = asyncio.create_task(Demo(options, DemoProgress(), pass_by, PATIENCE).run(judge))
    try:
        await eventually(lambda: (folder.path / "demo.json").exists() or run.done(), 60)
        async with folder.control() as control:
            for fault in faults:
                await control.add_fault(**fault)
        return await run
    finally:
        run.cancel()


@pytest.mark.parametrize("kind", FAULTS)
async def test_exchange_that_fails_breaks_no_law(kind: str, recording: str, database: str, tmp_path: Path) -> None:
    folder = DemoFolder(tmp_path, recording, database)

    summary = await run_with(FAULTS[kind], folder)

    assert {number: law.problems for number, law in summary.laws.items() if not law.ok} == {}
    assert summary.duplicate_orders == 0
