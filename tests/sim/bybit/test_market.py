"""Public endpoints: what is listed, and that the categories that are not here are empty or refused."""

import itertools

import pytest

from tests.sim.bybit.client import BybitSim, Trader

pytestmark = pytest.mark.integration

LINEAR = {"category": "linear", "symbol": "BTCUSDT"}


async def test_time_stands_in_result_and_envelope(sim: BybitSim) -> None:
    answer = await sim.public("/v5/market/time")
    assert answer.result["timeSecond"] == str(answer.body["time"] // 1000)
    assert int(answer.result["timeNano"]) == answer.body["time"] * 1_000_000


async def test_listed_instrument_shows_its_filters(sim: BybitSim) -> None:
    (row,) = (await sim.public("/v5/market/instruments-info", category="linear", baseCoin="BTC")).rows
    assert (row["symbol"], row["contractType"], row["status"]) == ("BTCUSDT", "LinearPerpetual", "Trading")
    assert (row["quoteCoin"], row["settleCoin"]) == ("USDT", "USDT")
    assert float(row["priceFilter"]["tickSize"]) > 0
    assert float(row["lotSizeFilter"]["qtyStep"]) > 0
    assert (await sim.public("/v5/market/instruments-info", category="linear", status="PreLaunch")).rows == []


@pytest.mark.parametrize("category", ["spot", "inverse", "option"])
async def test_other_products_are_empty(sim: BybitSim, trader: Trader, category: str) -> None:
    for path in ("/v5/market/instruments-info", "/v5/market/tickers"):
        answer = await sim.public(path, category=category)
        assert (answer.code, answer.rows) == (0, [])
    for path in ("/v5/order/realtime", "/v5/order/history", "/v5/execution/list", "/v5/position/list"):
        assert (await trader.get(path, category=category)).rows == []
    assert (await sim.public("/v5/market/kline", category=category, symbol="BTCUSDT", interval="1")).code == 10001


async def test_category_that_does_not_exist_is_refused(sim: BybitSim) -> None:
    answer = await sim.public("/v5/market/tickers", category="nothing")
    assert (answer.code, answer.words) == (10001, "Illegal category")
    assert (await sim.public("/v5/market/tickers")).code == 10001


async def test_symbol_that_is_not_listed_is_refused(sim: BybitSim) -> None:
    answer = await sim.public("/v5/market/tickers", category="linear", symbol="DOGEBTC")
    assert (answer.code, answer.words) == (10001, "Not supported symbols")


async def test_ticker_agrees_with_the_book_and_the_day(sim: BybitSim) -> None:
    await sim.step(30)
    (row,) = (await sim.public("/v5/market/tickers", **LINEAR)).rows
    book = (await sim.public("/v5/market/orderbook", **LINEAR, limit=1)).result
    assert [float(row["bid1Price"]), float(row["ask1Price"])] == [float(book["b"][0][0]), float(book["a"][0][0])]
    assert (float(row["highPrice24h"]), float(row["lowPrice24h"])) == (40600, 39000)
    assert float(row["price24hPcnt"]) == pytest.approx((39500 - 40000) / 40000)


async def test_open_interest_counts_one_side(sim: BybitSim, trader: Trader) -> None:
    await trader.order("Buy", "Market", "0.05")
    await (await sim.trader()).order("Sell", "Market", "0.02")
    (row,) = (await sim.public("/v5/market/open-interest", **LINEAR, intervalTime="5min")).rows
    (ticker,) = (await sim.public("/v5/market/tickers", **LINEAR)).rows
    assert row["openInterest"] == ticker["openInterest"] == "0.05"
    (ratio,) = (await sim.public("/v5/market/account-ratio", **LINEAR, period="1h")).rows
    assert (ratio["buyRatio"], ratio["sellRatio"]) == ("0.3333", "0.6667")  # the book is short of the rest
    await trader.order("Sell", "Market", "0.04", reduceOnly=True)
    (row,) = (await sim.public("/v5/market/open-interest", **LINEAR, intervalTime="5min")).rows
    assert row["openInterest"] == "0.02"


async def test_bars_come_newest_first_within_their_range(sim: BybitSim) -> None:
    await sim.step(30)
    rows = (await sim.public("/v5/market/kline", **LINEAR, interval="1", limit=5)).rows
    times = [int(row[0]) for row in rows]
    assert times == sorted(times, reverse=True)
    assert (len(rows), len(rows[0])) == (5, 7)
    asked = await sim.public("/v5/market/kline", **LINEAR, interval="1", start=times[3], end=times[1])
    assert [int(row[0]) for row in asked.rows] == times[1:4]
    assert (await sim.public("/v5/market/kline", **LINEAR, interval="7")).words == "Invalid period!"
    (week,) = (await sim.public("/v5/market/kline", **LINEAR, interval="W")).rows
    (month,) = (await sim.public("/v5/market/kline", **LINEAR, interval="M")).rows
    assert (week[0], week[2:4]) == ("1643587200000", ["40600", "39000"])  # Monday 2022-01-31
    assert month[0] == "1643673600000"  # 2022-02-01


async def test_tape_holds_the_newest_prints_first(sim: BybitSim) -> None:
    await sim.step(10)
    rows = (await sim.public("/v5/market/recent-trade", **LINEAR, limit=3)).rows
    assert [int(row["seq"]) for row in rows] == sorted((int(row["seq"]) for row in rows), reverse=True)
    assert len({row["execId"] for row in rows}) == 3
    assert {row["side"] for row in rows} <= {"Buy", "Sell"}


async def test_risk_tiers_are_continuous(sim: BybitSim) -> None:
    rows = (await sim.public("/v5/market/risk-limit", **LINEAR)).rows
    for lower, upper in itertools.pairwise(rows):
        value = float(lower["riskLimitValue"])
        need = [value * float(row["maintenanceMargin"]) - float(row["mmDeduction"]) for row in (lower, upper)]
        assert need[0] == pytest.approx(need[1])
    assert [row["isLowestRisk"] for row in rows][:2] == [1, 0]


async def test_price_limits_are_those_that_orders_meet(sim: BybitSim, trader: Trader) -> None:
    limit = (await sim.public("/v5/market/price-limit", **LINEAR)).result
    highest = float(limit["buyLmt"])
    assert (await trader.order("Buy", "Limit", "0.01", price=f"{highest + 100:.1f}")).code == 110003
    assert (await trader.order("Buy", "Limit", "0.01", price=f"{highest - 100:.1f}")).code == 0
