"""A simulator that is killed while accounts of both venues trade comes back with every order it answered."""

import asyncio
import hashlib
import hmac
import json
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from tests.sim.binance.client import Trader, flat, write_dump
from tests.sim.processes import Process, process
from tests.support import eventually

pytestmark = pytest.mark.slow
ORDERS_BEFORE_THE_KILL = 30
BYBIT_ORDERS = 8  # below the venue's ten in a second


@dataclass(frozen=True, slots=True)
class BybitTrader:
    """One account of the Bybit face, and its key."""

    http: aiohttp.ClientSession
    base: str
    api_key: str
    api_secret: str

    async def post(self, path: str, **fields: object) -> Any:
        body = json.dumps(fields)
        async with self.http.get(f"{self.base}/v5/market/time") as answer:
            stamp = str((await answer.json())["time"])
        text = f"{stamp}{self.api_key}5000{body}"
        headers = {
            "X-BAPI-API-KEY": self.api_key,
            "X-BAPI-TIMESTAMP": stamp,
            "X-BAPI-RECV-WINDOW": "5000",
            "X-BAPI-SIGN": hmac.new(self.api_secret.encode(), text.encode(), hashlib.sha256).hexdigest(),
            "Content-Type": "application/json",
        }
        async with self.http.post(f"{self.base}{path}", data=body, headers=headers) as answer:
            return await answer.json()

    async def order(self, link_id: str, **fields: object) -> Any:
        return await self.post(
            "/v5/order/create", category="linear", symbol="BTCUSDT", orderLinkId=link_id, qty="0.010", **fields
        )


async def traders(sim: Process) -> tuple[Trader, BybitTrader]:
    made = [
        await sim.control("POST", "/accounts", {"venue": venue, "balance": "100000"}) for venue in ("binance", "bybit")
    ]
    bybit = f"http://127.0.0.1:{sim.ports['bybit_port']}"
    return (
        Trader(sim.http, sim.rest, made[0]["uid"], made[0]["api_key"], made[0]["api_secret"]),
        BybitTrader(sim.http, bybit, made[1]["api_key"], made[1]["api_secret"]),
    )


async def trade(binance: Trader, bybit: BybitTrader, answered: set[str]) -> None:
    """Place orders on both venues without an end, and note what was answered."""
    number = 0
    while True:
        number += 1
        price = str(39_000 + number)
        ask = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.010", "newClientOrderId": f"n-{number}"}
        if number % 2:
            placed = await binance.signed("POST", "/fapi/v1/order", **ask, type="MARKET")
        else:
            placed = await binance.signed("POST", "/fapi/v1/order", **ask, type="LIMIT", timeInForce="GTC", price=price)
        assert placed.status == 200, placed.body
        answered.add(f"n-{number}")
        if number > BYBIT_ORDERS:
            continue
        order = await bybit.order(f"y-{number}", side="Buy", orderType="Limit", price=price)
        assert order["retCode"] == 0, order
        answered.add(f"y-{number}")
        if number == 1:
            order = await bybit.order("y-market", side="Sell", orderType="Market")
            assert order["retCode"] == 0, order


async def books(sim: Process) -> dict[str, Any]:
    state = await sim.control("GET", "/state")
    return {"accounts": state["accounts"], "keys": state["keys"]}


@pytest.fixture
def arguments(tmp_path: Path) -> tuple[str, ...]:
    data = write_dump(tmp_path / "BTCUSDT-1m.csv", flat("40000.0", 60))  # real time: the next price is 19 seconds off
    return ("--data", str(data), "--speed", "1", "--journal", str(tmp_path / "journal"))


async def test_kill_in_the_middle_of_trading_loses_nothing_that_was_answered(arguments: tuple[str, ...]) -> None:
    answered: set[str] = set()
    async with process(*arguments) as first:
        binance, bybit = await traders(first)
        trading = asyncio.create_task(trade(binance, bybit, answered))

        async def enough() -> bool:
            assert not trading.done() or trading.exception() is None, trading.exception()
            return len(answered) >= ORDERS_BEFORE_THE_KILL

        await eventually(enough)
        first.child.send_signal(signal.SIGKILL)
        await first.child.wait()
        with pytest.raises(aiohttp.ClientError):
            await trading

    async with process(*arguments) as second:
        found = await books(second)
        again = BybitTrader(
            second.http, f"http://127.0.0.1:{second.ports['bybit_port']}", bybit.api_key, bybit.api_secret
        )
        more = await again.order("y-after", side="Buy", orderType="Limit", price="39000")
        before = msgspec.json.encode(await books(second), order="deterministic")
        second.child.send_signal(signal.SIGKILL)
        await second.child.wait()
    async with process(*arguments) as third:
        after = msgspec.json.encode(await books(third), order="deterministic")

    client_ids = {order["client_order_id"] for account in found["accounts"].values() for order in account["orders"]}
    assert answered <= client_ids
    assert more["retCode"] == 0
    assert after == before


async def test_fresh_puts_the_old_journal_aside_and_says_so(
    tmp_path: Path, arguments: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    async with process(*arguments) as first:
        await traders(first)
    async with process(*arguments, "--fresh") as second:
        assert (await books(second))["accounts"] == {}
    async with process(*arguments) as third:
        assert (await books(third))["accounts"] == {}

    assert f"the old journal was put aside as {tmp_path / 'journal' / 'sim.journal.1'}" in capfd.readouterr().err
    assert "CreateAccount" in (tmp_path / "journal" / "sim.journal.1").read_text()
