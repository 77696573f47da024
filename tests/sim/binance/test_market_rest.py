"""Market data and statistics of the face, and what clients ask of other hosts: over a real socket."""

from pathlib import Path

import pytest

from tests.sim.binance.client import MINUTE_MS, START_MS, Sim, Trader, running_sim

pytestmark = pytest.mark.integration

FAPI = "/fapi/v1"
DAY_MS = 86_400_000


async def test_exchange_information_names_limits_types_and_status(sim: Sim) -> None:
    found = (await sim.public(f"{FAPI}/exchangeInfo")).body

    assert [(row["rateLimitType"], row["limit"]) for row in found["rateLimits"]] == [
        ("REQUEST_WEIGHT", 2400),
        ("ORDERS", 1200),
        ("ORDERS", 300),
    ]
    (symbol,) = found["symbols"]
    assert (symbol["symbol"], symbol["status"], symbol["contractType"]) == ("BTCUSDT", "TRADING", "PERPETUAL")
    assert "TRAILING_STOP_MARKET" in symbol["orderTypes"]
    assert symbol["timeInForce"] == ["GTC", "IOC", "FOK", "GTX", "GTD"]


async def test_all_bars_follow_the_played_prices(sim: Sim) -> None:
    await sim.step(16)
    ask = {"interval": "15m", "limit": 1}
    own = (await sim.public(f"{FAPI}/klines", symbol="BTCUSDT", **ask)).body
    pair = (await sim.public(f"{FAPI}/continuousKlines", pair="BTCUSDT", contractType="PERPETUAL", **ask)).body
    quarter = await sim.public(f"{FAPI}/continuousKlines", pair="BTCUSDT", contractType="NEXT_QUARTER", **ask)
    index = (await sim.public(f"{FAPI}/indexPriceKlines", pair="BTCUSDT", **ask)).body
    premium = (await sim.public(f"{FAPI}/premiumIndexKlines", symbol="BTCUSDT", **ask)).body

    assert (pair, quarter.body) == (own, [])
    assert (index[0][1:5], index[0][5]) == (own[0][1:5], "0")
    assert premium[0][1:5] == ["0.00000000"] * 4


async def test_bars_longer_than_a_day_open_where_the_venues_do(sim: Sim) -> None:
    await sim.step(16)
    opens = {}
    for interval in ("3d", "1w", "1M"):
        ((opened, *prices, close_ms, _, _, _, _, _),) = (
            await sim.public(f"{FAPI}/klines", symbol="BTCUSDT", interval=interval)
        ).body
        opens[interval] = (opened, (close_ms + 1 - opened) // DAY_MS)
        assert prices[:4] == ["40000.0", "40600.0", "39000.0", "39500.0"]

    assert opens["1w"] == (START_MS - DAY_MS, 7)  # the 1st of February 2022 was a Tuesday
    assert opens["1M"] == (START_MS, 28)
    assert opens["3d"][1] == 3


async def test_tape_is_read_from_an_id_and_from_a_time(sim: Sim, trader: Trader) -> None:
    await sim.step(10)
    newest = (await sim.public(f"{FAPI}/aggTrades", symbol="BTCUSDT", limit=5)).body
    first = newest[0]
    from_id = (await sim.public(f"{FAPI}/aggTrades", symbol="BTCUSDT", fromId=first["a"], limit=2)).body
    timed = await sim.public(f"{FAPI}/aggTrades", symbol="BTCUSDT", startTime=first["T"], endTime=first["T"] + 1)
    hour = await sim.public(f"{FAPI}/aggTrades", symbol="BTCUSDT", startTime=START_MS, endTime=START_MS + 3_600_000)
    old = await trader.send("GET", f"{FAPI}/historicalTrades", f"symbol=BTCUSDT&fromId={first['a']}&limit=3")
    without_key = await sim.public(f"{FAPI}/historicalTrades", symbol="BTCUSDT")

    assert from_id == newest[:2]
    assert timed.body[0] == first
    assert (hour.status, hour.body["code"]) == (400, -1127)
    assert [row["id"] for row in old.body] == [row["a"] for row in newest[:3]]
    assert (without_key.status, without_key.body["code"]) == (401, -2014)


async def test_tape_older_than_48_hours_is_forgotten(sim: Sim) -> None:
    await sim.step(60)
    named = {"symbol": "BTCUSDT", "fromId": 1}
    known = (await sim.public(f"{FAPI}/aggTrades", **named)).body
    await sim.step(60 + 2 * 1_440 + 1)

    assert len(known) > 0
    assert (await sim.public(f"{FAPI}/aggTrades", **named)).body == []


async def test_funding_is_told_with_its_terms(sim: Sim) -> None:
    await sim.step(8 * 60)

    (settled,) = (await sim.public(f"{FAPI}/fundingRate", symbol="BTCUSDT")).body
    (terms,) = (await sim.public(f"{FAPI}/fundingInfo")).body

    assert (settled["fundingTime"], settled["symbol"]) == (START_MS + 8 * 3_600_000, "BTCUSDT")
    assert (terms["fundingIntervalHours"], terms["adjustedFundingRateCap"]) == (8, "0.00300000")
    assert abs(float(settled["fundingRate"])) <= float(terms["adjustedFundingRateCap"])


async def test_tickers_answer_one_symbol_and_all(sim: Sim) -> None:
    for path in ("ticker/price", "ticker/bookTicker", "ticker/24hr", "premiumIndex"):
        one = (await sim.public(f"{FAPI}/{path}", symbol="BTCUSDT")).body
        every = (await sim.public(f"{FAPI}/{path}")).body
        assert (one["symbol"], [row["symbol"] for row in every]) == ("BTCUSDT", ["BTCUSDT"])


async def test_what_is_not_known_is_an_empty_list(sim: Sim) -> None:
    period = {"symbol": "BTCUSDT", "period": "5m"}
    for name in (
        "openInterestHist",
        "topLongShortAccountRatio",
        "topLongShortPositionRatio",
        "globalLongShortAccountRatio",
        "takerlongshortRatio",
    ):
        assert (await sim.public(f"/futures/data/{name}", **period)).body == []
    basis = await sim.public("/futures/data/basis", pair="BTCUSDT", contractType="PERPETUAL", period="5m")
    assert basis.body == []
    assert (await sim.public("/futures/data/delivery-price", pair="BTCUSDT")).body == []
    assert (await sim.public(f"{FAPI}/indexInfo")).body == []
    assert (await sim.public(f"{FAPI}/assetIndex")).body == []
    assert (await sim.public(f"{FAPI}/tradingSchedule")).body["marketSchedules"] == {}


async def test_one_accounts_position_shows_in_no_public_figure_of_a_stepped_replay(sim: Sim, trader: Trader) -> None:
    await trader.market("BUY", "0.010")

    assert (await sim.public(f"{FAPI}/openInterest", symbol="BTCUSDT")).body["openInterest"] == "0"
    (fund,) = (await sim.public(f"{FAPI}/insuranceBalance")).body
    assert fund["assets"][0]["marginBalance"] == "0.00000000"


async def test_open_interest_counts_what_is_held_where_all_trade_on_one_book(tmp_path: Path) -> None:
    async with running_sim(None, speed=1) as sim:
        one, two = await sim.trader(), await sim.trader()
        before = (await sim.public(f"{FAPI}/openInterest", symbol="BTCUSDT")).body["openInterest"]
        await one.market("BUY", "0.010")
        long = (await sim.public(f"{FAPI}/openInterest", symbol="BTCUSDT")).body["openInterest"]
        await two.market("SELL", "0.030")
        short = (await sim.public(f"{FAPI}/openInterest", symbol="BTCUSDT")).body["openInterest"]

    assert [float(text) for text in (before, long, short)] == [0, 0.01, 0.03]


async def test_index_comes_from_one_source(sim: Sim) -> None:
    found = (await sim.public(f"{FAPI}/constituents", symbol="BTCUSDT")).body

    assert [(row["symbol"], row["price"], row["weight"]) for row in found["constituents"]] == [
        ("BTCUSDT", "40000.00", "1.00000000")
    ]


@pytest.mark.parametrize(
    ("path", "parameters", "code"),
    [
        (f"{FAPI}/rpiDepth", {"symbol": "BTCUSDT", "limit": 500}, -4021),
        (f"{FAPI}/klines", {"symbol": "BTCUSDT", "interval": "1m", "limit": 1501}, -1130),
        (f"{FAPI}/continuousKlines", {"pair": "BTCUSDT", "interval": "1m", "contractType": "WEEKLY"}, -4104),
        (f"{FAPI}/indexPriceKlines", {"pair": "NOPEUSDT", "interval": "1m"}, -4144),
        (f"{FAPI}/aggTrades", {"symbol": "BTCUSDT", "limit": 1001}, -1130),
        (f"{FAPI}/openInterest", {}, -1102),
        (f"{FAPI}/openInterest", {"symbol": "NOPEUSDT"}, -1121),
        (f"{FAPI}/assetIndex", {"symbol": "ADAUSD"}, -1121),
        (f"{FAPI}/fundingRate", {"symbol": "NOPEUSDT"}, -1121),
        ("/futures/data/openInterestHist", {"symbol": "BTCUSDT", "period": "7m"}, -1130),
        ("/futures/data/openInterestHist", {"symbol": "BTCUSDT", "period": "5m", "limit": 501}, -1130),
        ("/futures/data/basis", {"pair": "BTCUSDT", "period": "5m", "contractType": "WEEKLY"}, -4104),
    ],
)
async def test_market_data_that_the_venue_does_not_give_is_refused(
    sim: Sim, path: str, parameters: dict[str, object], code: int
) -> None:
    answer = await sim.public(path, **parameters)

    assert (answer.status, answer.body["code"]) == (400, code), answer.body


# ---------------------------------------------------------------------------------------------------- the account


async def test_settings_that_this_venue_cannot_have_are_refused(trader: Trader) -> None:
    for method, path, parameters, code in (
        ("POST", "multiAssetsMargin", {"multiAssetsMargin": "true"}, -1020),
        ("POST", "multiAssetsMargin", {"multiAssetsMargin": "false"}, -4171),
        ("POST", "feeBurn", {"feeBurn": "true"}, -1126),
        ("GET", "pmAccountInfo", {"asset": "USDT"}, -1109),
        ("POST", "convert/getQuote", {}, -4084),
        ("GET", "apiReferral/overview", {}, -1109),
    ):
        answer = await trader.signed(method, f"{FAPI}/{path}", **parameters)
        assert (answer.status, answer.body["code"]) == (400, code), path
    assert (await trader.signed("GET", f"{FAPI}/feeBurn")).body == {"feeBurn": False}
    assert (await trader.signed("GET", f"{FAPI}/apiTradingStatus")).body["indicators"] == {}
    limits = (await trader.signed("GET", f"{FAPI}/rateLimit/order")).body
    assert [(row["interval"], row["intervalNum"], row["limit"]) for row in limits] == [
        ("SECOND", 10, 300),
        ("MINUTE", 1, 1200),
    ]


async def test_other_hosts_answer_what_clients_ask_while_they_start(sim: Sim, trader: Trader) -> None:
    assert (await sim.public("/api/v3/ping")).body == {}
    assert (await sim.public("/api/v3/time")).body["serverTime"] >= START_MS
    for path in ("/api/v3/exchangeInfo", "/dapi/v1/exchangeInfo"):
        assert (await sim.public(path)).body["symbols"] == []
    assert (await trader.signed("GET", "/sapi/v1/capital/config/getall")).body == []
    assert (await sim.public("/sapi/v1/system/status")).body["status"] == 0


async def test_time_on_the_wire_is_the_venues(sim: Sim) -> None:
    await sim.step(3)

    assert (await sim.public(f"{FAPI}/time")).body == {"serverTime": START_MS + 3 * MINUTE_MS}
