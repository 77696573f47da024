"""The simulator as a process: how it starts, what it refuses to start with, how it ends."""

import asyncio
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from typer.testing import CliRunner

from patriot.cli import sim as simulator
from patriot.kernel.clock import SystemClock, to_epoch_ms
from patriot.kernel.errors import InvalidInput, StartupError
from patriot.sim.server import SimServer, SimSettings
from patriot.sim.world import World
from tests.sim.binance.client import START_MS, TOKEN, Sim, flat, running_sim, write_dump
from tests.sim.processes import process
from tests.support import eventually

pytestmark = pytest.mark.integration

MINUTE_MS = 60_000


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
