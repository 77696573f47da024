"""Conformance: an unmodified public client, ccxt, trades on the simulator as it would on the venue."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import ccxt.async_support as ccxt
import ccxt.pro as ccxt_pro
import pytest

from tests.sim.binance.client import Sim, Trader, flat, running_sim, write_dump
from tests.support import eventually

pytestmark = pytest.mark.integration

SYMBOL = "BTC/USDT:USDT"


@pytest.fixture
async def sim(tmp_path: Path) -> AsyncIterator[Sim]:
    bars = [*flat("40000.0", 2), ("40000.0", "40500.0", "39000.0", "39500.0"), *flat("39500.0", 2)]
    async with running_sim(write_dump(tmp_path / "BTCUSDT-1m.csv", bars)) as running:
        yield running


def settings_of(trader: Trader) -> dict[str, Any]:
    return {"apiKey": trader.api_key, "secret": trader.api_secret, "options": {"fetchCurrencies": False}}


def addressed(client: Any, sim: Sim) -> Any:
    """Point a client at the simulator; nothing else of it is changed."""
    for name, path in {
        "fapiPublic": "/fapi/v1",
        "fapiPublicV2": "/fapi/v2",
        "fapiPrivate": "/fapi/v1",
        "fapiPrivateV2": "/fapi/v2",
        "fapiPrivateV3": "/fapi/v3",
        "sapi": "/sapi/v1",
    }.items():
        client.urls["api"][name] = sim.rest + path
    client.urls["api"]["ws"] = {"future": f"{sim.streams}/ws"}
    return client


async def both_open(sim: Sim) -> bool:
    return bool((await sim.control("GET", "/health")).body["streams"] == 2)


@pytest.fixture
async def exchange(sim: Sim) -> AsyncIterator[Any]:
    client = addressed(ccxt.binanceusdm(settings_of(await sim.trader("10000"))), sim)
    yield client
    await client.close()


async def test_markets_carry_the_filters_of_the_venue(exchange: Any) -> None:
    markets = await exchange.load_markets()

    market = markets[SYMBOL]
    assert market["linear"]
    assert market["contract"]
    assert exchange.price_to_precision(SYMBOL, 40000.123) == "40000.1"
    assert market["limits"]["cost"]["min"] == 100


async def test_limit_order_is_placed_asked_for_and_canceled(exchange: Any) -> None:
    placed = await exchange.create_order(SYMBOL, "limit", "buy", 0.01, 39000, {"clientOrderId": "ccxt-limit-1"})
    asked = await exchange.fetch_order(placed["id"], SYMBOL)
    resting = await exchange.fetch_open_orders(SYMBOL)
    canceled = await exchange.cancel_order(placed["id"], SYMBOL)

    assert (placed["status"], asked["status"], canceled["status"]) == ("open", "open", "canceled")
    assert asked["clientOrderId"] == "ccxt-limit-1"
    assert [order["id"] for order in resting] == [placed["id"]]
    assert await exchange.fetch_open_orders(SYMBOL) == []


async def test_market_order_fills_and_shows_in_trades_positions_and_balance(exchange: Any) -> None:
    before = await exchange.fetch_balance()
    placed = await exchange.create_order(SYMBOL, "market", "buy", 0.01)

    filled = await exchange.fetch_order(placed["id"], SYMBOL)
    trades = await exchange.fetch_my_trades(SYMBOL)
    positions = await exchange.fetch_positions([SYMBOL])
    after = await exchange.fetch_balance()

    assert (filled["status"], filled["filled"]) == ("closed", 0.01)
    assert {trade["order"] for trade in trades} == {placed["id"]}
    assert sum(trade["amount"] for trade in trades) == pytest.approx(0.01)
    assert [(position["side"], position["contracts"]) for position in positions] == [("long", 0.01)]
    assert before["USDT"]["total"] == 10_000
    fees = sum(trade["fee"]["cost"] for trade in trades)
    assert after["USDT"]["total"] == pytest.approx(10_000 - fees)


async def test_stop_order_rests_and_is_canceled_on_the_algo_path(exchange: Any) -> None:
    await exchange.create_order(SYMBOL, "market", "buy", 0.01)
    parameters = {"stopLossPrice": 39200, "reduceOnly": True, "clientOrderId": "ccxt-stop-1"}
    stop = await exchange.create_order(SYMBOL, "market", "sell", 0.01, None, parameters)

    asked = await exchange.fetch_order(stop["id"], SYMBOL, {"trigger": True})
    resting = await exchange.fetch_open_orders(SYMBOL, params={"trigger": True})
    await exchange.cancel_order(stop["id"], SYMBOL, {"trigger": True})

    assert (asked["id"], asked["status"], asked["triggerPrice"]) == (stop["id"], "open", 39200)
    assert [order["id"] for order in resting] == [stop["id"]]
    assert await exchange.fetch_open_orders(SYMBOL, params={"trigger": True}) == []


async def test_stop_order_that_the_market_passes_closes_the_position(exchange: Any, sim: Sim) -> None:
    await exchange.create_order(SYMBOL, "market", "buy", 0.01)
    parameters = {"stopLossPrice": 39200, "reduceOnly": True}
    stop = await exchange.create_order(SYMBOL, "market", "sell", 0.01, None, parameters)

    await sim.step(4)

    asked = await exchange.fetch_order(stop["id"], SYMBOL, {"trigger": True})
    assert asked["status"] == "closed"
    assert await exchange.fetch_positions([SYMBOL]) == []
    assert len(await exchange.fetch_my_trades(SYMBOL)) >= 2


async def test_settings_and_history_are_read_and_written(exchange: Any, sim: Sim) -> None:
    await exchange.set_margin_mode("isolated", SYMBOL)
    await exchange.set_leverage(5, SYMBOL)
    await sim.step(3)

    leverage = await exchange.fetch_leverage(SYMBOL)
    bars = await exchange.fetch_ohlcv(SYMBOL, "1m", limit=2)

    assert (leverage["marginMode"], leverage["longLeverage"]) == ("isolated", 5)
    assert [bar[4] for bar in bars] == [40000.0, 39500.0]
    assert (await exchange.fetch_ticker(SYMBOL))["last"] == 39500.0


async def test_refusals_arrive_as_the_errors_of_the_client(exchange: Any) -> None:
    with pytest.raises(ccxt.OrderNotFound):
        await exchange.fetch_order("987654321", SYMBOL)
    with pytest.raises(ccxt.ExchangeError, match="-2019"):
        await exchange.create_order(SYMBOL, "limit", "buy", 100, 39900)


async def test_streaming_client_hears_its_order_and_the_bar(sim: Sim) -> None:
    trader = await sim.trader("10000")
    client = addressed(ccxt_pro.binanceusdm(settings_of(trader)), sim)
    await client.load_markets()
    orders = asyncio.create_task(client.watch_orders(SYMBOL))
    bars = asyncio.create_task(client.watch_ohlcv(SYMBOL, "1m"))
    try:
        await eventually(lambda: both_open(sim))
        placed = await client.create_order(SYMBOL, "limit", "buy", 0.01, 39000)
        async with asyncio.timeout(10):
            assert [(order["id"], order["status"]) for order in await orders] == [(placed["id"], "open")]
            await sim.step(1)
            assert [bar[4] for bar in await bars] == [40000.0]
    finally:
        await client.close()
        while client.session is not None:  # a fetch in its background opened a connection again while it closed
            await client.close()
