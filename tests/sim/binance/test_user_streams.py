"""User data: what each kind of event says, field by field, and on which paths an account is heard."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from patriot.sim.binance.messages import private_messages
from patriot.sim.engine.events import AlgoOrderUpdated, OrderUpdated
from patriot.sim.engine.records import AlgoOrder, Order
from patriot.sim.engine.words import (
    AlgoStatus,
    Closing,
    ExecutionType,
    OrderStatus,
    OrderType,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
from tests.sim.binance.client import Sim, Trader
from tests.sim.binance.listeners import listen_key, listening, settled

pytestmark = pytest.mark.integration

ORDER_FIELDS = "s c S o f q p ap sp x X i l z L T t b a m R wt ot ps cp rp pP si ss V pm gtd er"
LITE_FIELDS = "e E T s q p m c S L l t i"


def order(**changed: Any) -> Order:
    base = {"uid": 1, "order_id": 7, "client_order_id": "c-1", "symbol": "BTCUSDT", "side": Side.BUY}
    plain = {"order_type": OrderType.LIMIT, "quantity": Decimal(1), "created_ms": 1, "updated_ms": 1}
    return Order(**{**base, **plain, **changed})


def told(record: Order, execution_type: ExecutionType) -> dict[str, Any]:
    body: dict[str, Any] = private_messages(OrderUpdated(1, 5, execution_type, record))[-1]["o"]
    return body


async def test_user_data_is_heard_on_the_private_door_only(sim: Sim, trader: Trader) -> None:
    key = await listen_key(trader)
    async with (
        listening(sim, f"/private/ws/{key}") as path,
        listening(sim, f"/private/ws?listenKey={key}") as query,
        listening(sim, f"/private/stream?streams={key}") as combined,
        listening(sim, f"/ws/{key}") as legacy,
        listening(sim, f"/public/ws/{key}") as public,
        listening(sim, f"/market/stream?streams={key}") as market,
    ):
        await trader.market("BUY", "0.010")
        await settled(sim)

    assert path.messages == query.messages == [m["data"] for m in combined.messages] != []
    assert (legacy.messages, public.messages, market.messages) == ([], [], [])


async def test_two_accounts_are_heard_on_one_socket_each_with_its_events(sim: Sim, trader: Trader) -> None:
    other = await sim.trader()
    one, two = await listen_key(trader), await listen_key(other)
    address = f"/private/stream?listenKey={one}&events=ORDER_TRADE_UPDATE&listenKey={two}&events=ACCOUNT_UPDATE"
    async with listening(sim, address) as both:
        await trader.market("BUY", "0.010")
        await other.market("BUY", "0.010")
        await settled(sim)

    assert {(m["stream"], m["data"]["e"]) for m in both.messages} == {
        (one, "ORDER_TRADE_UPDATE"),
        (two, "ACCOUNT_UPDATE"),
    }


async def test_trade_is_told_short_before_it_is_told_in_full(sim: Sim, trader: Trader) -> None:
    async with listening(sim, f"/private/ws/{await listen_key(trader)}") as private:
        await trader.market("BUY", "0.010", newClientOrderId="t-1")
        await settled(sim)

    lite = private.named("TRADE_LITE")[0]
    full = next(m for m in private.named("ORDER_TRADE_UPDATE") if m["o"]["x"] == "TRADE")
    assert set(lite) == set(LITE_FIELDS.split())
    assert {name: lite[name] for name in "scStLliqm"} == {name: full["o"][name] for name in "scStLliqm"}
    assert private.messages.index(lite) < private.messages.index(full)


async def test_changed_order_is_told_as_an_amendment(sim: Sim, trader: Trader) -> None:
    wish = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.010", "price": "39000.0"}
    async with listening(sim, f"/private/ws/{await listen_key(trader)}") as private:
        placed = await trader.signed("POST", "/fapi/v1/order", **wish, type="LIMIT", timeInForce="GTC")
        changed = {**wish, "price": "39100.0", "orderId": placed.body["orderId"]}
        assert (await trader.signed("PUT", "/fapi/v1/order", **changed)).status == 200
        await settled(sim)

    update = private.named("ORDER_TRADE_UPDATE")[-1]["o"]
    assert (update["x"], update["X"], update["p"]) == ("AMENDMENT", "NEW", "39100.00")
    assert set(update) == set(ORDER_FIELDS.split())


async def test_new_leverage_is_told_as_account_config(sim: Sim, trader: Trader) -> None:
    async with listening(sim, f"/private/ws/{await listen_key(trader)}") as private:
        await trader.signed("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=7)
        await settled(sim)

    assert [m["ac"] for m in private.named("ACCOUNT_CONFIG_UPDATE")] == [{"s": "BTCUSDT", "l": 7}]


async def test_liquidation_is_told_to_its_account_and_to_the_market(sim: Sim) -> None:
    trader = await sim.trader("100")
    await trader.signed("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=100)
    async with (
        listening(sim, f"/private/ws/{await listen_key(trader)}") as private,
        listening(sim, "/market/ws/!forceOrder@arr") as everyone,
        listening(sim, "/market/stream?streams=btcusdt@forceOrder") as of_symbol,
    ):
        assert (await trader.market("BUY", "0.100")).status == 200
        await sim.step(17)  # 1000 down
        await settled(sim)

    closing = [m["o"] for m in private.named("ORDER_TRADE_UPDATE") if m["o"]["c"].startswith("autoclose-")]
    assert [order["x"] for order in closing if order["x"] != "NEW"] == ["CALCULATED"] * (len(closing) - 1)
    assert {(order["o"], order["S"]) for order in closing} == {("LIQUIDATION", "SELL")}
    forced = everyone.named("forceOrder")[-1]["o"]
    assert (forced["s"], forced["S"], forced["q"], forced["z"]) == ("BTCUSDT", "SELL", "0.100", "0.100")
    assert [m["data"] for m in of_symbol.messages] == everyone.messages


@pytest.mark.parametrize("closing", [Closing.LIQUIDATION, Closing.DELEVERAGING])
def test_order_of_the_venue_itself_is_of_type_liquidation(closing: Closing) -> None:
    body = told(order(closing=closing, order_type=OrderType.MARKET), ExecutionType.NEW)

    assert (body["o"], body["ot"], body["x"]) == ("LIQUIDATION", "LIQUIDATION", "NEW")


@pytest.mark.parametrize(
    ("changed", "execution_type", "reason"),
    [
        ({"status": OrderStatus.CANCELED}, ExecutionType.CANCELED, "0"),
        ({"status": OrderStatus.EXPIRED, "time_in_force": TimeInForce.IOC}, ExecutionType.EXPIRED, "2"),
        ({"status": OrderStatus.EXPIRED, "reduce_only": True}, ExecutionType.EXPIRED, "4"),
        ({"status": OrderStatus.EXPIRED_IN_MATCH}, ExecutionType.EXPIRED, "1"),
        (
            {"status": OrderStatus.EXPIRED_IN_MATCH, "order_type": OrderType.MARKET},
            ExecutionType.EXPIRED,
            "3",
        ),
    ],
)
def test_end_of_an_order_says_why(changed: dict[str, Any], execution_type: ExecutionType, reason: str) -> None:
    assert told(order(**changed), execution_type)["er"] == reason


def test_order_tells_its_end_and_its_self_trade_prevention() -> None:
    body = told(order(good_till_ms=99, self_trade_prevention=SelfTradePrevention.EXPIRE_BOTH), ExecutionType.NEW)

    assert (body["gtd"], body["V"]) == (99, "EXPIRE_BOTH")


def test_conditional_order_that_was_refused_when_triggered_says_why() -> None:
    record = AlgoOrder(
        1, 3, "a-1", "BTCUSDT", Side.SELL, OrderType.STOP_MARKET, Decimal(1), Decimal(5), 1, 1, trigger_above=False
    )
    refused = replace(record, status=AlgoStatus.REJECTED, reject_reason="ReduceOnly Order is rejected.")
    (update,) = private_messages(AlgoOrderUpdated(1, 9, refused))

    assert (update["e"], update["o"]["X"]) == ("ALGO_UPDATE", "REJECTED")
    assert update["o"]["rm"] == "ReduceOnly Order is rejected."
