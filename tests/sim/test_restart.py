"""The simulator after a kill or an end: what the journal brings back, and which journals it refuses."""

import asyncio
import io
import signal
import stat
from pathlib import Path
from typing import Any

import msgspec
import pytest

from patriot.kernel.clock import SystemClock
from patriot.kernel.errors import HistoryDamaged, InvalidInput, StartupError
from patriot.sim.engine.operations import CancelOrder
from patriot.sim.exchange import Applied
from patriot.sim.journal import Journal
from patriot.sim.server import JOURNAL_FILE, SimServer, SimSettings
from patriot.sim.world import Record
from tests.sim.binance.client import START_MS, TOKEN, Trader, flat, running_sim, write_dump
from tests.sim.processes import process, trade_a_little

pytestmark = pytest.mark.integration

MINUTE_MS = 60_000


async def test_killed_simulator_comes_back_with_everything_it_answered(tmp_path: Path, data: Path) -> None:
    arguments = ("--data", str(data), "--speed", "step", "--journal", str(tmp_path / "journal"))
    async with process(*arguments) as first:
        made = await first.control("POST", "/accounts", {"venue": "binance", "balance": "10000"})
        trader = await trade_a_little(first.http, first.rest, made)
        listen_key = (await trader.send("POST", "/fapi/v1/listenKey", "")).body["listenKey"]
        await first.control("POST", "/clock", {"until_ms": START_MS + 8 * MINUTE_MS, "stop_on_activity": False})
        await first.control("POST", "/transfers", {"uid": made["uid"], "amount": "-50"})
        before = await first.control("GET", "/state")
        first.child.send_signal(signal.SIGKILL)
        await first.child.wait()

    async with process(*arguments) as second:
        after = await second.control("GET", "/state")
        trader = Trader(second.http, second.rest, made["uid"], made["api_key"], made["api_secret"])
        same_key = (await trader.send("POST", "/fapi/v1/listenKey", "")).body["listenKey"]
        found = await trader.signed("GET", "/fapi/v1/order", symbol="BTCUSDT", origClientOrderId="entry-1")

    assert after.pop("activity") == 0
    assert before.pop("activity") > 0
    assert after.pop("wire_ms")["accounts"] == {}, "what was before the start has no time of this process"
    assert {name.partition(":")[0] for name in before.pop("wire_ms")["accounts"]["1"]} == {"trade", "placed", "ended"}
    assert after == before
    assert before["accounts"]["1"]["algo_orders"][0]["status"] == "FINISHED"
    assert same_key == listen_key
    assert found.body["status"] == "FILLED"


async def test_killed_and_uninterrupted_runs_end_the_same(tmp_path: Path, data: Path) -> None:
    async def run(folder: Path, restarts: list[int]) -> Any:
        made: dict[str, Any] = {}
        for minutes in [*restarts, 36]:
            async with running_sim(data, journal=folder) as sim:
                if not made:
                    made = (await sim.control("POST", "/accounts", {"venue": "binance", "balance": "10000"})).body
                    await trade_a_little(sim.http, sim.rest, made)
                await sim.step(minutes, stop_on_activity=False)
                state = (await sim.control("GET", "/state")).body
        return state["accounts"]

    assert await run(tmp_path / "a", [2, 5, 6, 20]) == await run(tmp_path / "b", [])


async def test_fill_inside_a_bar_survives_a_restart_at_its_own_tick(tmp_path: Path, data: Path) -> None:
    async with running_sim(data, journal=tmp_path / "j") as sim:
        made = (await sim.control("POST", "/accounts", {"venue": "binance", "balance": "10000"})).body
        await trade_a_little(sim.http, sim.rest, made)
        stopped = await sim.step(20, stop_on_activity=True)
        state = (await sim.control("GET", "/state")).body
    async with running_sim(data, journal=tmp_path / "j") as sim:
        again = (await sim.control("GET", "/state")).body

    assert stopped["stopped_by"] == ["private:1"]
    assert again["now_ms"] == stopped["now_ms"]
    assert again["accounts"] == state["accounts"]


async def test_journal_of_other_prices_or_another_seed_is_refused(tmp_path: Path, data: Path) -> None:
    async with running_sim(data, journal=tmp_path / "j"):
        pass
    other = write_dump(tmp_path / "BTCUSDT-other.csv", flat("1.0", 3))

    for path, seed in ((other, 7), (data, 8), (None, 7)):
        with pytest.raises(StartupError, match="the journal was written with prices"):
            async with running_sim(path, journal=tmp_path / "j", seed=seed):
                pass


async def test_books_go_on_as_they_were_begun_when_the_clock_is_let_run(tmp_path: Path, data: Path) -> None:
    """A stepped replay keeps accounts apart, a live venue does not: a journal is replayed as it was written."""
    async with running_sim(data, journal=tmp_path / "j") as sim:
        made = (await sim.control("POST", "/accounts", {"venue": "binance", "balance": "10000"})).body
        await trade_a_little(sim.http, sim.rest, made)
        before = (await sim.control("GET", "/state")).body["accounts"]
    async with running_sim(data, journal=tmp_path / "j", speed=1) as sim:
        after = (await sim.control("GET", "/state")).body["accounts"]

    assert after == before


async def test_journal_is_for_its_owner_alone_and_for_one_simulator(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("patriot.sim.server.JOURNAL_WAIT_SECONDS", 0.1)
    async with running_sim(data, journal=tmp_path / "j") as sim:
        await sim.trader()
        mode = stat.S_IMODE((tmp_path / "j" / JOURNAL_FILE).stat().st_mode)
        with pytest.raises(StartupError, match="in use by another simulator"):
            async with running_sim(data, journal=tmp_path / "j"):
                pass

    assert mode == 0o600


async def test_successor_waits_for_a_simulator_that_is_ending(tmp_path: Path, data: Path) -> None:
    settings = SimSettings(TOKEN, 0, 0, data=data, speed=None, journal=tmp_path / "j", bybit_port=0)
    ending, successor = SimServer(settings, SystemClock()), SimServer(settings, SystemClock())
    await ending.start()
    starting = asyncio.create_task(successor.start())
    await asyncio.sleep(0)
    await ending.stop()
    await starting

    assert successor.control_port > 0
    await successor.stop()


async def test_changed_journal_is_found(tmp_path: Path, data: Path) -> None:
    async with running_sim(data, journal=tmp_path / "j") as sim:
        await sim.trader("10000")
    path = tmp_path / "j" / JOURNAL_FILE
    path.write_bytes(path.read_bytes().replace(b'"balance":"10000"', b'"balance":"90000"'))

    with pytest.raises(HistoryDamaged, match="checksum"):
        async with running_sim(data, journal=tmp_path / "j"):
            pass


@pytest.mark.parametrize(
    ("operation", "said"),
    [
        (CancelOrder(uid=77, symbol="BTCUSDT", order_id=1), "an account that is not there: 77"),
        (CancelOrder(uid=1, symbol="BTCUSDT", order_id=1), r"refused now \(-2011"),
    ],
)
async def test_record_that_the_engine_does_not_take_again_is_found(
    tmp_path: Path, data: Path, operation: CancelOrder, said: str
) -> None:
    async with running_sim(data, journal=tmp_path / "j") as sim:
        await sim.trader("10000")
    path = tmp_path / "j" / JOURNAL_FILE
    journal: Journal[Record] = Journal.open(path, msgspec.json.Decoder(Record).decode)
    journal.append(Applied(START_MS + 1_000, operation))
    journal.close()
    before = path.read_bytes()

    with pytest.raises(HistoryDamaged, match=rf"record \d of the journal does not fit .* CancelOrder .*{said}"):
        async with running_sim(data, journal=tmp_path / "j"):
            pass
    assert path.read_bytes() == before


async def test_full_disk_ends_the_process_instead_of_answering(tmp_path: Path, data: Path) -> None:
    async with running_sim(data, journal=tmp_path / "j") as sim:
        trader = await sim.trader()
        journal = sim.server._journal
        assert journal is not None
        journal._file.close()
        journal._file = io.FileIO("/dev/full", "r+")
        journal._cut = lambda: None  # type: ignore[method-assign]
        answer = await trader.market("BUY", "0.010")

        assert answer.status == 503
        with pytest.raises(StartupError, match="the journal cannot be written"):
            await sim.server.run_until_ended()
    async with running_sim(data, journal=tmp_path / "j") as sim:
        assert (await sim.control("GET", "/state")).body["accounts"]["1"]["orders"] == []


async def test_refused_start_leaves_the_journal_as_it_was(tmp_path: Path, data: Path) -> None:
    async with running_sim(data, journal=tmp_path / "j") as sim:
        await sim.trader()
        taken = sim.server.control_port
        path = tmp_path / "j" / JOURNAL_FILE
        before = path.read_bytes()

        async def refused(**settings: Any) -> str:
            common = {"token": TOKEN, "binance_port": 0, "bybit_port": 0, "control_port": 0, "speed": None}
            server = SimServer(SimSettings(**{**common, "journal": tmp_path / "k", **settings}), SystemClock())
            with pytest.raises((StartupError, InvalidInput)) as raised:
                await server.start()
            return str(raised.value)

        (tmp_path / "k").mkdir()
        (tmp_path / "k" / JOURNAL_FILE).write_bytes(before)
        scenario = tmp_path / "s.yaml"
        scenario.write_text("faults:\n  - at: 1s\n    action: halt\n    symbol: NOPEUSDT\n")
        said = [
            await refused(data=data, control_port=taken, fresh=True),
            await refused(data=data, binance_port=taken, bybit_port=taken),
            await refused(data=tmp_path / "none.csv", fresh=True),
            await refused(data=data, scenario=scenario, fresh=True),
            await refused(data=data, journal=data),
        ]

    assert "Address already in use" in said[0]
    assert said[1].startswith("--bybit-port")
    assert "none.csv" in said[2]
    assert f"{scenario} line 2" in said[3]
    assert "NOPEUSDT is not listed" in said[3]
    assert said[4].startswith(f"--journal {data}")
    assert [one.name for one in (tmp_path / "k").iterdir()] == [JOURNAL_FILE]
    assert (tmp_path / "k" / JOURNAL_FILE).read_bytes() == before
