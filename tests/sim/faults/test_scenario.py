"""Scenario files: what is refused, by line and field, and what is played when."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from patriot.cli.sim import app
from patriot.kernel.clock import SystemClock
from patriot.kernel.errors import InvalidInput
from patriot.sim.faults.rules import RestFault
from patriot.sim.faults.scenario import load_scenario
from patriot.sim.server import SimServer, SimSettings
from tests.sim.binance.client import MINUTE_MS, START_MS, TOKEN, Sim, flat, running_sim, write_dump
from tests.sim.faults.clients import SYMBOL, client_on
from tests.support import eventually

pytestmark = pytest.mark.integration

GOOD = """
faults:
  - at: 90s
    fault: rate_limit
    venue: binance
    match: {method: POST, path: /fapi/v1/order}
    for: 1m30s
  - after_orders: 3
    action: price_shock
    symbol: BTCUSDT
    factor: 0.9
  - at: 2026-11-22T12:00:00Z
    stream: drop
    uid: 7
    times: 5
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "bad-day.yaml"
    path.write_text(text)
    return path


def test_file_is_read_with_times_counts_and_plain_values(tmp_path: Path) -> None:
    first, second, third = load_scenario(written(tmp_path, GOOD)).entries

    assert (first.offset_ms, first.wish.fault, first.wish.for_ms) == (90_000, RestFault.RATE_LIMIT, 90_000)
    assert first.wish.match.path == "/fapi/v1/order"
    assert (second.after_orders, second.wish.factor) == (3, "0.9")
    assert (third.at_ms, third.wish.uid, third.wish.times) == (1_795_348_800_000, 7, 5)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["line 1", "faults"]),
        ("[1, 2]", ["line 1", "mapping"]),
        ("faults: 3", ["line 1", "list"]),
        ("fault:\n  - at: 1s", ["line 2", "`fault`"]),
        ("faults:\n  - fault: delay", ["line 2", "at"]),
        ("faults:\n  - at: 1s\n    fault: delay\n  - at: soon\n    fault: delay", ["line 4", "fault 2", "at", "soon"]),
        ("faults:\n  - at: 30m1h\n    fault: delay", ["line 2", "30m1h"]),
        ("faults:\n  - at: 2026-11-22T12:00:00\n    fault: delay", ["line 2", "zone"]),
        ("faults:\n  - at: 1s\n    fault: explode", ["line 2", "explode"]),
        ("faults:\n  - at: 1s\n    fault: delay\n    times: many", ["line 2", "times"]),
        ("faults:\n  - at: 1s\n    fault: delay\n    tims: 3", ["line 2", "tims"]),
        ("faults:\n  - at: 1s\n    fault: delay\n    skew_ms: 3", ["line 2", "skew_ms"]),
        ("faults:\n  - at: 1s\n    at: 2s\n    fault: delay", ["line 3", "twice"]),
        ("faults:\n  - after_orders: 0\n    fault: delay", ["line 2", "after_orders"]),
        ("faults:\n  - &x\n    at: 1s\n    fault: delay\n  - *x", ["line 2", "alias"]),
        ("faults:\n  - at: [1s\n", ["line", "expected"]),
        ("faults: \x07", ["YAML"]),
    ],
)
def test_bad_file_is_refused_with_its_line_and_field(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(InvalidInput) as refused:
        load_scenario(written(tmp_path, text))

    assert "bad-day.yaml" in str(refused.value)
    for word in words:
        assert word in str(refused.value)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"nowhere\.yaml"):
        load_scenario(tmp_path / "nowhere.yaml")


async def test_simulator_does_not_start_with_a_bad_file(tmp_path: Path) -> None:
    path = written(tmp_path, "faults:\n  - at: 1s\n    fault: explode")
    server = SimServer(SimSettings(TOKEN, 0, 0, bybit_port=0, scenario=path), SystemClock())
    with pytest.raises(InvalidInput, match="line 2"):
        await server.start()


async def faults_of(sim: Sim) -> list[tuple[str, str]]:
    rows = (await sim.control("GET", "/faults")).body["faults"]
    return [(row.get("fault") or row.get("stream") or row["action"], row["state"]) for row in rows]


async def played(tmp_path: Path, text: str, minutes: list[int]) -> list[Any]:
    """Step a simulator with a scenario to each of these minutes and return what is in force there."""
    data = write_dump(tmp_path / "BTCUSDT-1m.csv", flat("40000.0", 60))
    seen = []
    async with running_sim(data, scenario=written(tmp_path, text)) as sim:
        for minute in minutes:
            await sim.step(minute)
            seen.append(await faults_of(sim))
    return seen


TIMED = """
faults:
  - at: 3m
    action: halt
    symbol: BTCUSDT
    for: 2m
  - at: 2m
    fault: 503_before
"""


async def test_faults_come_at_their_times_and_end_after_their_spans(tmp_path: Path) -> None:
    seen = await played(tmp_path, TIMED, [1, 3, 4, 7])

    assert seen == [
        [],
        [("503_before", "in_force")],
        [("503_before", "in_force"), ("halt", "in_force")],
        [("503_before", "in_force"), ("halt", "over")],
    ]


async def test_how_the_clock_is_driven_does_not_move_a_fault(tmp_path: Path) -> None:
    at_once = await played(tmp_path, TIMED, [7])
    by_and_by = await played(tmp_path, TIMED, [1, 2, 3, 4, 5, 6, 7])

    assert at_once[-1] == by_and_by[-1]


async def test_fault_comes_at_its_very_millisecond_between_two_prices(tmp_path: Path) -> None:
    data = write_dump(tmp_path / "BTCUSDT-1m.csv", flat("40000.0", 60))
    text = "faults:\n  - at: 1m0s1ms\n    action: halt\n    symbol: BTCUSDT"
    async with running_sim(data, scenario=written(tmp_path, text)) as sim:
        client = await client_on(sim, "binance")
        halted_ms = START_MS + 1_000 + MINUTE_MS + 1
        await sim.control("POST", "/clock", {"until_ms": halted_ms - 1})
        assert (await client.place("before")).code == 0
        await sim.control("POST", "/clock", {"until_ms": halted_ms})
        assert (await client.place("after")).code != 0


@pytest.mark.parametrize("venue", ["binance", "bybit"])
async def test_fault_comes_after_so_many_orders_of_its_venue(tmp_path: Path, venue: str) -> None:
    data = write_dump(tmp_path / "BTCUSDT-1m.csv", flat("40000.0", 60))
    text = f"faults:\n  - after_orders: 2\n    venue: {venue}\n    action: halt\n    symbol: {SYMBOL}"
    async with running_sim(data, scenario=written(tmp_path, text)) as sim:
        client = await client_on(sim, venue)
        other = await client_on(sim, "bybit" if venue == "binance" else "binance")
        codes = [(await one.place(f"order-{n}")).code for n, one in enumerate((other, client, other, client, client))]

        assert codes[:4] == [0, 0, 0, 0]
        assert codes[4] != 0
        assert (await other.place("still")).code == 0


async def test_entry_that_the_venue_refuses_is_listed_as_failed_and_stops_nothing(tmp_path: Path) -> None:
    text = "faults:\n  - at: 1s\n    action: revoke_key\n    uid: 99\n  - at: 2s\n    fault: 503_before"
    (seen,) = await played(tmp_path, text, [1])

    assert seen == [("revoke_key", "failed"), ("503_before", "in_force")]


async def test_clock_that_runs_by_itself_plays_a_scenario_too(tmp_path: Path) -> None:
    data = write_dump(tmp_path / "BTCUSDT-1m.csv", flat("40000.0", 600))
    path = written(tmp_path, "faults:\n  - at: 5s\n    action: clock_skew\n    skew_ms: 1000\n    for: 5s")
    async with running_sim(data, speed=60, scenario=path) as sim:

        async def over() -> bool:
            return await faults_of(sim) == [("clock_skew", "over")]

        await eventually(over)


def test_command_ends_with_the_line_that_is_wrong(tmp_path: Path) -> None:
    path = written(tmp_path, "faults:\n  - at: 1s\n    fault: explode")
    ports = ["--binance-port", "0", "--bybit-port", "0", "--control-port", "0"]
    result = CliRunner().invoke(app, [*ports, "--scenario", str(path)], env={"PATRIOT_SIM_TOKEN": TOKEN})

    assert result.exit_code == 2
    assert "bad-day.yaml line 2" in result.output
