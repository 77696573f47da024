"""The simulator as a process: what a kill leaves, what the journal brings back, how it starts and ends."""

import asyncio
import io
import json
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from typer.testing import CliRunner

from patriot.cli import sim as simulator
from patriot.kernel.clock import SystemClock, to_epoch_ms
from patriot.kernel.errors import HistoryDamaged, InvalidInput, StartupError
from patriot.sim.engine.operations import CancelOrder
from patriot.sim.exchange import Applied
from patriot.sim.journal import Journal
from patriot.sim.server import JOURNAL_FILE, SimServer, SimSettings
from patriot.sim.world import Record, World
from tests.sim.binance.client import START_MS, TOKEN, Sim, Trader, flat, running_sim, write_dump
from tests.support import eventually

pytestmark = pytest.mark.integration

MINUTE_MS = 60_000


@pytest.fixture
def data(tmp_path: Path) -> Path:
    bars = [*flat("40000.0", 5), ("40000.0", "40600.0", "39000.0", "39500.0"), *flat("39500.0", 30)]
    return write_dump(tmp_path / "BTCUSDT-1m.csv", bars)


class Process:
    """`patriot sim` as a child process."""

    def __init__(self, child: asyncio.subprocess.Process, ports: dict[str, int], http: aiohttp.ClientSession) -> None:
        self.child = child
        self.ports = ports
        self.http = http

    @property
    def rest(self) -> str:
        return f"http://127.0.0.1:{self.ports['binance_port']}"

    async def control(self, method: str, path: str, body: object = None) -> Any:
        url = f"http://127.0.0.1:{self.ports['control_port']}{path}"
        async with self.http.request(method, url, json=body, headers={"Authorization": f"Bearer {TOKEN}"}) as answer:
            return await answer.json()


@asynccontextmanager
async def process(*arguments: str) -> AsyncIterator[Process]:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *(
            "-m",
            "patriot.cli.sim",
            "--binance-port",
            "0",
            "--bybit-port",
            "0",
            "--control-port",
            "0",
            "--announce",
            *arguments,
        ),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PATRIOT_SIM_TOKEN": TOKEN},
    )
    assert child.stdout is not None
    try:
        ports = json.loads(await child.stdout.readline())
        async with aiohttp.ClientSession() as http:
            yield Process(child, ports, http)
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


async def trade_a_little(http: aiohttp.ClientSession, rest: str, made: dict[str, Any]) -> Trader:
    """Leave a position with a stop, a resting order and a settled listen key behind."""
    trader = Trader(http, rest, made["uid"], made["api_key"], made["api_secret"])
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "newClientOrderId": "rest-1"}
    algo = {
        "symbol": "BTCUSDT",
        "side": "SELL",
        "type": "STOP_MARKET",
        "algoType": "CONDITIONAL",
        "clientAlgoId": "s-1",
    }
    await trader.market("BUY", "0.010", newClientOrderId="entry-1")
    await trader.signed("POST", "/fapi/v1/order", **order, price="38900", quantity="0.010")
    await trader.signed("POST", "/fapi/v1/algoOrder", **algo, triggerPrice="39200", quantity="0.010", reduceOnly="true")
    return trader


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


async def test_taken_port_is_one_sentence(data: Path) -> None:
    async with running_sim(data) as sim:
        taken = SimServer(SimSettings(TOKEN, sim.server.binance_port, 0, data=data, speed=None), SystemClock())
        with pytest.raises(StartupError, match=r"port \d+ on 127.0.0.1 cannot be opened .* --binance-port"):
            await taken.start()
        assert (await sim.public("/fapi/v1/ping")).status == 200


async def test_prices_of_a_symbol_that_is_not_listed_are_refused(tmp_path: Path) -> None:
    path = write_dump(tmp_path / "NOPEUSDT-1m.csv", flat("1.0", 3))

    with pytest.raises(StartupError, match="the simulator lists BTCUSDT, ETHUSDT"):
        async with running_sim(path):
            pass


async def test_model_serves_two_symbols(tmp_path: Path) -> None:
    async with running_sim(None) as sim:
        info = (await sim.public("/fapi/v1/exchangeInfo")).body
        prices = (await sim.public("/fapi/v1/ticker/price")).body

    assert [symbol["symbol"] for symbol in info["symbols"]] == ["BTCUSDT", "ETHUSDT"]
    assert [row["symbol"] for row in prices] == ["BTCUSDT", "ETHUSDT"]


async def test_model_whose_clock_runs_has_the_time_of_the_machine_to_the_second() -> None:
    class LateInAMinute(SystemClock):
        def now(self) -> datetime:
            return datetime(2026, 11, 22, 9, 30, 41, tzinfo=UTC)

    server = SimServer(SimSettings(TOKEN, 0, 0, speed=1, bybit_port=0), LateInAMinute())
    await server.start()
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{server.binance_port}") as http:
            told = (await (await http.get("/fapi/v1/time")).json())["serverTime"]
    finally:
        await server.stop()

    assert 0 <= told - to_epoch_ms(LateInAMinute().now()) < 15_000


async def test_clock_that_runs_by_itself_moves_prices_and_comes_back_where_it_was(tmp_path: Path, data: Path) -> None:
    async def bars(sim: Sim) -> int:
        return int((await sim.control("GET", "/state")).body["bars_played"])

    async with running_sim(data, speed=3_600, journal=tmp_path / "j") as sim:
        await eventually(lambda: _at_least(bars(sim), 3))
        played = await bars(sim)
    async with running_sim(data, speed=3_600, journal=tmp_path / "j") as sim:
        assert await bars(sim) >= played
        await eventually(lambda: _at_least(bars(sim), 36))


async def _at_least(number: Any, floor: int) -> bool:
    return int(await number) >= floor


async def test_child_ends_when_its_parent_closes_the_pipe(data: Path) -> None:
    async with process("--data", str(data), "--speed", "step", "--parent-pipe") as running:
        assert (await running.control("GET", "/health"))["status"] == "ok"
        assert running.ports["pid"] == running.child.pid
        assert running.child.stdin is not None
        running.child.stdin.close()
        async with asyncio.timeout(10):
            assert await running.child.wait() == 0


async def test_interrupt_ends_the_process_cleanly(data: Path) -> None:
    async with process("--data", str(data), "--speed", "step") as running:
        running.child.send_signal(signal.SIGINT)
        async with asyncio.timeout(10):
            assert await running.child.wait() == 0


async def test_taken_port_and_broken_file_end_the_command_with_status_2(tmp_path: Path, data: Path) -> None:
    broken = tmp_path / "BTCUSDT-broken.csv"
    broken.write_text(data.read_text()[:-40])
    async with running_sim(data) as sim:
        for arguments, said in (
            (("--binance-port", str(sim.server.binance_port), "--data", str(data)), "cannot be opened"),
            (("--binance-port", "0", "--data", str(broken)), "BTCUSDT-broken.csv line 37"),
        ):
            child = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "patriot.cli.sim", "--bybit-port", "0", "--control-port", "0", *arguments),
                stderr=asyncio.subprocess.PIPE,
                env={**os.environ, "PATRIOT_SIM_TOKEN": TOKEN},
            )
            _, words = await child.communicate()
            assert child.returncode == 2
            assert said in words.decode()
            assert "Traceback" not in words.decode()


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


async def test_clock_that_fails_ends_the_simulator_instead_of_standing_still(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_arguments: object, **_options: object) -> None:
        raise RuntimeError("the clock is broken")

    async with running_sim(None, speed=60) as sim:
        monkeypatch.setattr(World, "advance", broken)
        async with asyncio.timeout(10):
            with pytest.raises(RuntimeError, match="the clock is broken"):
                await sim.server.run_until_ended()


def test_broken_price_file_names_its_line(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="line 3"):
        asyncio.run(_start(write_dump(tmp_path / "BTCUSDT.csv", [("1.0",) * 4, ("x", "1", "1", "1")])))


async def _start(data: Path) -> None:
    async with running_sim(data):
        pass


async def test_one_venue_alone_opens_one_port_and_plays_the_symbols_asked_for() -> None:
    async with process("--venue", "bybit", "--symbols", "3", "--speed", "step") as running:
        state = await running.control("GET", "/state")
        refused = await running.control("POST", "/accounts", {"venue": "binance", "balance": "1"})

    assert set(running.ports) == {"bybit_port", "control_port", "pid"}
    assert set(state["tickers"]) == {"BTCUSDT", "ETHUSDT", "SOLUSDT"}
    assert "binance" in refused["detail"]


async def test_folder_of_recordings_is_played_again_and_again(tmp_path: Path) -> None:
    folder = tmp_path / "dumps"
    folder.mkdir()
    for symbol, price in (("BTCUSDT", "40000.0"), ("ETHUSDT", "2000.00")):
        write_dump(folder / f"{symbol}-1m.csv", [*flat(price, 4), ("1.0", "1.0", "1.0", "1.0")])
    async with process("--data", str(folder), "--loop", "--speed", "step") as running:
        until = {"until_ms": START_MS + 7 * MINUTE_MS, "stop_on_activity": False}
        moved = await running.control("POST", "/clock", until)
        state = await running.control("GET", "/state")

    assert (moved["bars_played"], moved["bars_left"]) == (7, None)
    assert {symbol: ticker["last"] for symbol, ticker in state["tickers"].items()} == {
        "BTCUSDT": "40000",
        "ETHUSDT": "2000",
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--symbols", "101"), "--symbols: expected 1 to 100, or names, found 101"),
        (("--symbols", "BTCUSDT,NOPEUSDT"), "found 'NOPEUSDT'"),
        (("--data", "model", "--data", "x.csv"), "expected recordings or 'model', found both"),
        (("--data", "/nowhere/x.csv"), "x.csv: expected a readable"),
    ],
)
def test_prices_that_cannot_be_played_end_the_command_with_status_2(arguments: tuple[str, ...], said: str) -> None:
    done = CliRunner().invoke(simulator.app, arguments, env={"PATRIOT_SIM_TOKEN": TOKEN})

    assert done.exit_code == 2
    assert said in done.output
    assert "Traceback" not in done.output


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


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--symbols", " , "), "--symbols: expected at least one"),
        (("--fresh",), "--fresh: expected --journal with it"),
        (("--loop",), "--loop: expected --data with it"),
        (("--binance-port", "99999"), "--binance-port"),
    ],
)
def test_options_that_mean_nothing_are_refused(arguments: tuple[str, ...], said: str) -> None:
    ended = CliRunner().invoke(simulator.app, arguments)

    assert ended.exit_code == 2
    assert said in ended.output
