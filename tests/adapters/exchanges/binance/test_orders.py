"""What the adapter puts on the wire for each kind of order, as the venue shows it back."""

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from patriot.adapters.exchanges.binance.venue import BinanceAccountSession
from patriot.kernel.errors import ExchangeUnavailable, OutcomeUnknown
from patriot.trading.reports import OrderSender, VenueOrder, VenueStatus
from patriot.trading.terms import OrderType, Side, TimeInForce
from tests.adapters.exchanges.binance.test_session import saying, talking_to
from tests.adapters.exchanges.binance.venue_kit import (
    SYMBOL,
    Connection,
    bars_at,
    connected,
    market_order,
    stop_order,
    working_orders_have_ids_of_their_own,
)

pytestmark = pytest.mark.integration


@pytest.fixture
async def exchange(tmp_path: Path) -> AsyncIterator[Connection]:
    async with connected(tmp_path, bars_at(*["40000"] * 3)) as connection:
        await connection.venue.orders.place(market_order("entry", Side.BUY, "0.010"), connection.now)
        yield connection


def order(order_type: OrderType, *, price: str | None = None, trigger: str | None = None) -> VenueOrder:
    return VenueOrder(
        client_order_id="x-1",
        symbol=SYMBOL,
        side=Side.SELL,
        order_type=order_type,
        quantity=Decimal("0.010"),
        reduce_only=True,
        price=Decimal(price) if price else None,
        trigger_price=Decimal(trigger) if trigger else None,
        time_in_force=TimeInForce.GTC if price else None,
    )


CONDITIONAL: list[tuple[OrderType, str | None, str, str]] = [
    (OrderType.STOP_MARKET, None, "39000", "STOP_MARKET"),
    (OrderType.STOP_LIMIT, "38900", "39000", "STOP"),
    (OrderType.TAKE_PROFIT, None, "41000", "TAKE_PROFIT_MARKET"),
    (OrderType.TAKE_PROFIT_LIMIT, "41100", "41000", "TAKE_PROFIT"),
]


@pytest.mark.parametrize(("order_type", "price", "trigger", "venue_type"), CONDITIONAL)
async def test_conditional_order_watches_the_mark_price_and_only_reduces(
    exchange: Connection, order_type: OrderType, price: str | None, trigger: str, venue_type: str
) -> None:
    await exchange.venue.orders.place(order(order_type, price=price, trigger=trigger), exchange.now)

    shown: Any = (await exchange.trader.signed("GET", "/fapi/v1/algoOrder", clientAlgoId="x-1")).body
    assert (shown["orderType"], shown["side"], Decimal(shown["triggerPrice"])) == (venue_type, "SELL", Decimal(trigger))
    assert (shown["workingType"], shown["reduceOnly"]) == ("MARK_PRICE", True)
    assert Decimal(shown["price"]) == Decimal(price or 0)


async def test_order_is_its_senders_by_client_id(exchange: Connection) -> None:
    (trade,) = await exchange.venue.orders.trades(SYMBOL, exchange.now)
    sent = await exchange.venue.orders.sender_of(SYMBOL, trade.venue_order_id)
    assert sent == OrderSender("entry", is_exchange=False)
    assert await exchange.venue.orders.sender_of(SYMBOL, "999999999") is None


async def test_order_of_a_liquidation_is_sent_by_the_exchange(tmp_path: Path) -> None:
    crash = ("40000.0", "40000.0", "30000.0", "30000.0")
    async with connected(tmp_path, [*bars_at("40000", "40000"), crash], balance="1000") as exchange:
        await exchange.venue.orders.place(market_order("entry", Side.BUY, "0.200"), exchange.now)
        began = exchange.now
        await exchange.step(3)
        *_, last = await exchange.venue.orders.trades(SYMBOL, began)
        sent = await exchange.venue.orders.sender_of(SYMBOL, last.venue_order_id)
        assert sent is not None
        assert (sent.is_exchange, last.side) == (True, Side.SELL)


async def test_order_that_was_conditional_is_told_by_the_id_that_it_had_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    working_orders_have_ids_of_their_own(monkeypatch)
    async with connected(tmp_path, bars_at("40000", "40000", "38000", "38000")) as exchange:
        orders = exchange.venue.orders
        await orders.place(market_order("entry", Side.BUY, "0.200"), exchange.now)
        await orders.place(stop_order("stop", Side.SELL, "0.100", "39000"), exchange.now)
        await orders.place(stop_order("far", Side.SELL, "0.100", "30000"), exchange.now)
        began = exchange.now
        await exchange.step(4)
        *_, last = await orders.trades(SYMBOL, began)
        shown = await orders.sender_of(SYMBOL, last.venue_order_id)
        assert shown is not None
        assert shown.client_order_id.startswith("x-")
        assert await orders.fired_orders(SYMBOL) == {last.venue_order_id: "stop"}


async def test_limit_order_rests_at_its_price(exchange: Connection) -> None:
    placed = await exchange.venue.orders.place(order(OrderType.LIMIT, price="41000"), exchange.now)

    shown: Any = (await exchange.trader.signed("GET", "/fapi/v1/order", symbol=SYMBOL, origClientOrderId="x-1")).body
    assert placed.status is VenueStatus.NEW
    assert (shown["type"], shown["timeInForce"], shown["reduceOnly"]) == ("LIMIT", "GTC", True)
    assert Decimal(shown["price"]) == 41_000


async def test_market_order_that_closes_is_marked_as_such(exchange: Connection) -> None:
    await exchange.venue.orders.place(order(OrderType.MARKET), exchange.now)

    shown: Any = (await exchange.trader.signed("GET", "/fapi/v1/order", symbol=SYMBOL, origClientOrderId="x-1")).body
    assert (shown["status"], shown["reduceOnly"]) == ("FILLED", True)


ANOTHER = '{"orderId":7,"symbol":"BTCUSDT","status":"FILLED","clientOrderId":"not-ours","side":"SELL",' + (
    '"origQty":"1","executedQty":"1","updateTime":1,"code":200,"msg":"success"}'
)
ANOTHER_ALGO = (
    '{"algoId":7,"clientAlgoId":"not-ours","symbol":"BTCUSDT","side":"SELL","algoStatus":"NEW","updateTime":1}'
)


@pytest.mark.parametrize("body", [ANOTHER, ANOTHER_ALGO, '{"code":-2011,"msg":"Unknown order sent."}', "{}", "[]"])
@pytest.mark.parametrize("order_type", [OrderType.MARKET, OrderType.STOP_MARKET])
async def test_answer_about_another_order_leaves_the_outcome_unknown(body: str, order_type: OrderType) -> None:
    placed = order(order_type, trigger="39000" if order_type is OrderType.STOP_MARKET else None)
    async with talking_to(saying(200, body)) as (session, clock):
        orders = BinanceAccountSession.open(session).orders
        with pytest.raises(OutcomeUnknown):
            await orders.place(placed, clock.now())
        with pytest.raises(OutcomeUnknown):
            await orders.cancel(SYMBOL, "x-1", conditional=placed.conditional)
        with pytest.raises(ExchangeUnavailable):
            await orders.find_order(SYMBOL, "x-1", conditional=placed.conditional)


def listed_algo(status: str, at_ms: int, client_id: str = "x-1") -> str:
    return (
        f'{{"algoId":7,"clientAlgoId":"{client_id}","symbol":"BTCUSDT","side":"SELL","algoStatus":"{status}",'
        f'"quantity":"0.010","updateTime":{at_ms}}}'
    )


async def test_conditional_order_that_the_query_has_forgotten_is_found_in_the_list_the_newest_of_its_id() -> None:
    algos = [listed_algo("CANCELED", 2_000), listed_algo("EXPIRED", 1_000), listed_algo("NEW", 3_000, "x-2")]

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/fapi/v1/allAlgoOrders":
            return web.Response(text=f"[{','.join(algos)}]", content_type="application/json")
        return web.json_response({"code": -2013, "msg": "Order does not exist."}, status=400)

    async with talking_to(answer) as (session, _):
        orders = BinanceAccountSession.open(session).orders
        found = await orders.find_order(SYMBOL, "x-1", conditional=True)
        never = await orders.find_order(SYMBOL, "x-3", conditional=True)

    assert found is not None
    assert (found.client_order_id, found.status) == ("x-1", VenueStatus.CANCELED)
    assert never is None
