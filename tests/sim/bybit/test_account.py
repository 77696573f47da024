"""The account over REST: wallet, ledger, margin mode, and what outlives a restart."""

from decimal import Decimal
from pathlib import Path

import pytest

from tests.sim.binance.client import flat, write_dump
from tests.sim.bybit.client import BybitSim, Trader, running_bybit

pytestmark = pytest.mark.integration

LINEAR = {"category": "linear", "symbol": "BTCUSDT"}
WALLET = "/v5/account/wallet-balance"
LOG = "/v5/account/transaction-log"


async def test_wallet_adds_up_while_a_position_is_held(sim: BybitSim, trader: Trader) -> None:
    await trader.order("Buy", "Market", "0.05")
    await sim.step(17)
    (row,) = (await trader.get(WALLET, accountType="UNIFIED")).rows
    (coin,) = row["coin"]
    assert (row["accountType"], coin["coin"]) == ("UNIFIED", "USDT")
    wallet, profit = Decimal(coin["walletBalance"]), Decimal(coin["unrealisedPnl"])
    assert profit < 0
    assert Decimal(row["totalEquity"]) == Decimal(coin["equity"]) == wallet + profit
    assert Decimal(row["totalAvailableBalance"]) == Decimal(row["totalEquity"]) - Decimal(row["totalInitialMargin"])


async def test_only_the_unified_wallet_is_there(trader: Trader) -> None:
    for kind in ("CONTRACT", "SPOT", "FUND"):
        answer = await trader.get(WALLET, accountType=kind)
        assert (answer.code, answer.words) == (10001, "accountType only support UNIFIED.")
    assert (await trader.get(WALLET, accountType="UNIFIED", coin="BTC")).rows[0]["coin"] == []


async def test_ledger_tells_every_change_of_the_wallet(sim: BybitSim, trader: Trader) -> None:
    await trader.order("Buy", "Market", "0.05")
    await sim.step(17)
    await trader.order("Sell", "Market", "0.05", reduceOnly=True)
    rows = (await trader.get(LOG, accountType="UNIFIED", limit=50)).rows
    assert rows[-1]["type"] == "TRANSFER_IN"
    assert {row["type"] for row in rows[:-1]} == {"TRADE"}
    balance = Decimal(0)
    for row in reversed(rows):
        cash, funding, fee = (Decimal(row[name] or 0) for name in ("cashFlow", "funding", "fee"))
        assert Decimal(row["change"]) == cash + funding - fee
        balance += Decimal(row["change"])
        assert Decimal(row["cashBalance"]) == balance
    (wallet,) = (await trader.get(WALLET, accountType="UNIFIED")).rows
    assert balance == Decimal(wallet["totalWalletBalance"])
    executions = (await trader.get("/v5/execution/list", **LINEAR)).rows
    assert [row["tradeId"] for row in rows[:-1]] == [execution["execId"] for execution in executions]
    assert [row["type"] for row in (await trader.get(LOG, type="TRANSFER_IN")).rows] == ["TRANSFER_IN"]


async def test_funding_shows_in_ledger_and_executions(sim: BybitSim, trader: Trader) -> None:
    await trader.order("Buy", "Market", "0.05")
    await sim.step(8 * 60 + 1)
    (paid,) = (await trader.get(LOG, type="SETTLEMENT")).rows
    (row,) = (await trader.get("/v5/execution/list", category="linear", execType="Funding")).rows
    assert Decimal(row["execFee"]) == -Decimal(paid["change"])
    (settled,) = (await sim.public("/v5/market/funding/history", **LINEAR)).rows
    assert (settled["fundingRate"], settled["fundingRateTimestamp"]) == (row["feeRate"], row["execTime"])
    assert (row["side"], Decimal(row["execQty"])) == ("Buy", Decimal("0.05"))


async def test_margin_mode_is_one_for_all_symbols(trader: Trader) -> None:
    path = "/v5/account/set-margin-mode"
    await trader.order("Buy", "Market", "0.01")
    held = await trader.post(path, setMarginMode="ISOLATED_MARGIN")
    assert (held.code, held.result["reasons"][0]["reasonCode"]) == (3400045, "3400000")
    await trader.order("Sell", "Market", "0.01", reduceOnly=True)
    assert (await trader.post(path, setMarginMode="ISOLATED_MARGIN")).result == {"reasons": []}
    assert (await trader.get("/v5/account/info")).result["marginMode"] == "ISOLATED_MARGIN"
    (row,) = (await trader.get(WALLET, accountType="UNIFIED")).rows
    assert (row["totalAvailableBalance"], row["totalEquity"] != "") == ("", True)
    assert (await trader.post(path, setMarginMode="PORTFOLIO_MARGIN")).code == 3400045
    assert (await trader.post(path, setMarginMode="ANY")).code == 10001


async def test_fee_rates_are_those_of_the_executions(trader: Trader) -> None:
    await trader.order("Buy", "Market", "0.05")
    (rate,) = (await trader.get("/v5/account/fee-rate", **LINEAR)).rows
    rates = {execution["feeRate"] for execution in (await trader.get("/v5/execution/list", **LINEAR)).rows}
    assert rates == {rate["takerFeeRate"]}


async def test_everything_is_the_same_after_a_restart(tmp_path: Path) -> None:
    data = write_dump(tmp_path / "BTCUSDT-1m.csv", flat("40000.0", 60))
    paths = ("/v5/order/realtime", "/v5/order/history", "/v5/execution/list", "/v5/position/list")

    async def seen(trader: Trader) -> list[object]:
        answers = [(await trader.get(path, **LINEAR)).result for path in (*paths, "/v5/position/closed-pnl")]
        return [*answers, (await trader.get(WALLET, accountType="UNIFIED")).result, (await trader.get(LOG)).result]

    async with running_bybit(data, journal=tmp_path / "journal") as sim:
        trader = await sim.trader()
        await trader.order("Buy", "Market", "0.05", orderLinkId="one", stopLoss="39000")
        await trader.order("Buy", "Limit", "0.05", price="39500", orderLinkId="two", takeProfit="41000")
        await trader.order("Sell", "Limit", "0.05", price="39000", timeInForce="PostOnly", orderLinkId="three")
        await trader.order("Sell", "Market", "0.02", reduceOnly=True)
        before = await seen(trader)
    async with running_bybit(data, journal=tmp_path / "journal") as sim:
        again = Trader(sim.http, sim.base, trader.uid, trader.api_key, trader.api_secret)
        assert await seen(again) == before


async def test_window_of_disconnection_is_the_same_after_a_restart(tmp_path: Path) -> None:
    data = write_dump(tmp_path / "BTCUSDT-1m.csv", flat("40000.0", 60))
    window = {"product": "DERIVATIVES", "dcpStatus": "ON", "timeWindow": "40"}
    async with running_bybit(data, journal=tmp_path / "journal") as sim:
        trader = await sim.trader()
        assert (await trader.get("/v5/account/query-dcp-info")).result == {"dcpInfos": []}
        assert (await trader.post("/v5/order/disconnected-cancel-all", timeWindow=40)).code == 0
    async with running_bybit(data, journal=tmp_path / "journal") as sim:
        again = Trader(sim.http, sim.base, trader.uid, trader.api_key, trader.api_secret)
        assert (await again.get("/v5/account/query-dcp-info")).result == {"dcpInfos": [window]}


async def test_account_that_owes_and_trades_spot_nothing_says_so(trader: Trader) -> None:
    assert (await trader.get("/v5/account/option-asset-info")).result == {"result": []}
    found = (await trader.get("/v5/account/pay-info")).result
    assert (found["collateralInfo"]["collateralList"][0]["availableSize"], found["borrowInfo"]["borrowSize"]) == (
        "100000",
        "0",
    )
    assert (await trader.get("/v5/account/pay-info", coin="USDT")).code == 182102
    spot = (await trader.get("/v5/account/trade-info-for-analysis", symbol="BTCUSDT")).result
    assert (spot["sumExecQty"], spot["baseCoin"]) == ("0", "BTC")
