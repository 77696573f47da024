"""Every refusal a trading client can meet: its retCode, its words and its HTTP status. The price stands at 40000."""

from dataclasses import dataclass
from typing import Any

import pytest

from tests.sim.bybit.client import BybitSim, Trader

pytestmark = pytest.mark.integration

LINEAR = {"category": "linear", "symbol": "BTCUSDT"}
CREATE, AMEND, CANCEL = "/v5/order/create", "/v5/order/amend", "/v5/order/cancel"
STOP, LEVERAGE = "/v5/position/trading-stop", "/v5/position/set-leverage"
Step = tuple[str, dict[str, Any]]


def market(side: str = "Buy", qty: str = "0.01", **more: Any) -> Step:
    return CREATE, {**LINEAR, "side": side, "orderType": "Market", "qty": qty, **more}


def limit(price: str, side: str = "Buy", qty: str = "0.01", **more: Any) -> Step:
    return CREATE, {**LINEAR, "side": side, "orderType": "Limit", "qty": qty, "price": price, **more}


def changed(path: str, **more: Any) -> Step:
    return path, {**LINEAR, **more}


@dataclass(frozen=True)
class Case:
    """What was done before, the request that is refused, and how."""

    request: Step
    code: int
    words: str
    before: tuple[Step, ...] = ()
    balance: str = "100000"
    permissions: tuple[str, ...] = ("read", "trade")


RESTING = limit("39500", orderLinkId="mine")
HEDGED = ("/v5/position/switch-mode", {"category": "linear", "coin": "USDT", "mode": 3})
CASES = {
    "category": Case((CREATE, {"category": "swap", "symbol": "BTCUSDT"}), 10001, "Illegal category"),
    "product without symbols": Case((CREATE, {"category": "inverse", "symbol": "BTCUSD"}), 10001, "Not supported"),
    "symbol": Case(changed(CREATE, symbol="NOPEUSDT"), 10001, "Not supported symbols"),
    "side": Case(market("buy"), 10001, "Side invalid"),
    "order type": Case(changed(CREATE, side="Buy", orderType="Stop", qty="1"), 10001, "OrderType invalid"),
    "quantity of nothing": Case(market(qty="0"), 10001, "The number of contracts exceeds minimum limit"),
    "quantity off its grid": Case(market(qty="0.0015"), 10001, "Qty invalid"),
    "quantity above maximum": Case(market(qty="501"), 10001, "exceeds maximum limit allowed: too large"),
    "price off its grid": Case(limit("39500.05"), 10001, "Price invalid"),
    "price of nothing": Case(changed(CREATE, side="Buy", orderType="Limit", qty="1"), 10001, "price is required"),
    "price outside the band": Case(limit("80000"), 110003, "Order price exceeds the allowable range."),
    "client id with a blank": Case(market(orderLinkId="a b"), 10001, "orderLinkId invalid"),
    "client id of 37": Case(market(orderLinkId="a" * 37), 10001, "orderLinkId invalid"),
    "client id twice": Case(market(orderLinkId="mine"), 110072, "OrderLinkedID is duplicate", (RESTING,)),
    "client id of a closed order": Case(
        market(orderLinkId="mine"), 110072, "OrderLinkedID is duplicate", (market(orderLinkId="mine"),)
    ),
    "no money": Case(market(qty="10"), 110007, "InsufficientAB", balance="100"),
    "index in one-way mode": Case(market(positionIdx=1), 10001, "position idx not match position mode"),
    "no index in hedge mode": Case(market(), 10001, "position idx not match position mode", (HEDGED,)),
    "reduction of nothing": Case(market(reduceOnly=True), 110017, "current position is zero"),
    "reduction of the same side": Case(market(reduceOnly=True), 110017, "same side", (market(),)),
    "trigger without direction": Case(market(triggerPrice="41000"), 10001, "TriggerDirection invalid"),
    "trigger that cannot rise": Case(
        market(triggerPrice="39000", triggerDirection=1), 110092, "expect Rising, but trigger_price[390000000] <="
    ),
    "trigger that cannot fall": Case(
        market(triggerPrice="41000", triggerDirection=2), 110093, "expect Falling, but trigger_price[410000000] >="
    ),
    "take profit of a reduction": Case(
        market("Sell", reduceOnly=True, takeProfit="39000"), 10001, "cannot set take profit", (market(),)
    ),
    "take profit on the losing side": Case(limit("39500", takeProfit="39000"), 10001, "should be higher than"),
    "limit take profit in full mode": Case(
        market(takeProfit="41000", tpOrderType="Limit", tpLimitPrice="41000"), 10001, "tpslMode invalid"
    ),
    "tolerance above its range": Case(
        market(slippageToleranceType="Percent", slippageTolerance="1.01"), 10001, "slippageTolerance invalid"
    ),
    "tolerance in parts of a tick": Case(
        market(slippageToleranceType="TickSize", slippageTolerance="5.5"), 10001, "slippageTolerance invalid"
    ),
    "tolerance of a limit order": Case(
        limit("40000", slippageToleranceType="TickSize", slippageTolerance="5"), 10001, "slippageToleranceType invalid"
    ),
    "amendment of nothing": Case(changed(AMEND, orderId="x", qty="1"), 110001, "too late to replace"),
    "amendment that changes nothing": Case(
        changed(AMEND, orderLinkId="mine", price="39500"), 10001, "The order remains unchanged", (RESTING,)
    ),
    "cancel of nothing": Case(changed(CANCEL, orderId="x"), 110001, "too late to cancel"),
    "cancel without an id": Case(changed(CANCEL), 10001, "orderId or orderLinkId is required"),
    "protection of nothing": Case(changed(STOP, stopLoss="39000"), 10001, "for zero position"),
    "protection as it is": Case(
        changed(STOP, stopLoss="39000", tpslMode="Full"),
        34040,
        "not modified",
        (market(), changed(STOP, stopLoss="39000", tpslMode="Full")),
    ),
    "protection of more than is held": Case(
        changed(STOP, stopLoss="39000", tpslMode="Partial", slSize="1"), 110058, "remaining position size", (market(),)
    ),
    "order type of no mode": Case(
        changed(STOP, stopLoss="39000", slOrderType="Market"), 10001, "when tpSlMode is empty", (market(),)
    ),
    "leverage as it is": Case(changed(LEVERAGE, buyLeverage="20", sellLeverage="20"), 110043, "leverage not modified"),
    "leverage above the maximum": Case(changed(LEVERAGE, buyLeverage="900", sellLeverage="900"), 110013, "maxLeverage"),
    "leverage between the steps": Case(changed(LEVERAGE, buyLeverage="7.5", sellLeverage="7.5"), 10001, "leverage"),
    "leverages apart": Case(changed(LEVERAGE, buyLeverage="5", sellLeverage="6"), 10001, "not equal"),
    "mode as it is": Case(changed("/v5/position/switch-mode", mode=0), 110025, "Position mode is not modified"),
    "mode with a position": Case(changed("/v5/position/switch-mode", mode=3), 110024, "Existing", (market(),)),
    "mode with an order": Case(changed("/v5/position/switch-mode", mode=3), 110028, "Existing open", (RESTING,)),
    "isolated by symbol": Case(changed("/v5/position/switch-isolated", tradeMode=1), 100028, "unified account"),
    "margin of a crossed position": Case(
        changed("/v5/position/add-margin", margin="10", positionIdx=0), 110015, "cross margin", (market(),)
    ),
    "margin mode with a position": Case(
        ("/v5/account/set-margin-mode", {"setMarginMode": "ISOLATED_MARGIN"}), 3400045, "failed", (market(),)
    ),
    "debt of nothing": Case(("/v5/account/repay", {"coin": "USDT"}), 182102, "no liabilities"),
    "key that may only read": Case(market(), 10005, "Permission denied", permissions=("read",)),
    "product without rights": Case(("/v5/asset/withdraw/create", {}), 10005, "Permission denied"),
    "batch of nothing": Case(("/v5/order/create-batch", {"category": "linear", "request": []}), 10001, "request"),
    "batch of too many": Case(
        ("/v5/order/cancel-batch", {"category": "linear", "request": [{}] * 21}), 10001, "exceeds the maximum of 20"
    ),
}


@pytest.mark.parametrize("name", CASES)
async def test_request_is_refused_with_the_code_and_words_of_the_venue(sim: BybitSim, name: str) -> None:
    case = CASES[name]
    trader = await sim.trader(case.balance, case.permissions)
    for path, body in case.before:
        assert (await trader.post(path, **body)).code == 0
    path, body = case.request

    answer = await trader.post(path, **body)

    assert (answer.status, answer.code) == (200, case.code), answer.words
    assert case.words in answer.words
    assert set(answer.body) == {"retCode", "retMsg", "result", "retExtInfo", "time"}


async def test_eleventh_conditional_order_of_a_symbol_is_refused(trader: Trader) -> None:
    condition = {"triggerPrice": "39000", "triggerDirection": 2}
    answers = [await trader.order("Sell", "Market", "0.01", **condition) for _ in range(11)]
    assert [answer.code for answer in answers] == [0] * 10 + [110009]


async def test_minimum_value_is_told(sim: BybitSim, trader: Trader) -> None:
    wish = {"action": "change_instrument", "venue": "bybit", "symbol": "BTCUSDT", "min_notional": "500"}
    await sim.control("POST", "/faults", wish)
    answer = await trader.order("Buy", "Market", "0.001")
    assert (answer.code, answer.words) == (110094, "Order does not meet minimum order value 500USDT")
