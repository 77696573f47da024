"""What every order venue must do, whatever exchange is behind it. Run on the Binance adapter and the simulator."""

from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from patriot.kernel.errors import ExchangeRefused, ExchangeUnavailable, OutcomeUnknown
from patriot.trading.reports import VenueStatus
from patriot.trading.terms import Side
from tests.adapters.exchanges.binance.venue_kit import (
    SYMBOL,
    Connection,
    bars_at,
    connected,
    limit_order,
    market_order,
    stop_order,
)

pytestmark = pytest.mark.integration

STATUSES = (500, 502, 503, 504)
CRASH = bars_at(*["40000"] * 3, *["38000"] * 3)


@pytest.fixture
async def exchange(tmp_path: Path) -> AsyncIterator[Connection]:
    async with connected(tmp_path, CRASH) as connection:
        yield connection


async def test_market_order_is_filled_in_its_own_answer(exchange: Connection) -> None:
    report = await exchange.venue.orders.place(market_order("m-1", Side.BUY, "0.010"), exchange.now)

    assert report.status is VenueStatus.FILLED
    assert (report.client_order_id, report.executed_quantity) == ("m-1", Decimal("0.010"))


async def test_order_sent_too_late_is_not_placed(exchange: Connection) -> None:
    late = exchange.now - timedelta(seconds=6)  # the receive window is 5 s

    with pytest.raises(ExchangeUnavailable, match="-1021"):
        await exchange.venue.orders.place(market_order("m-1", Side.BUY, "0.010"), late)

    assert await exchange.venue.orders.find_order(SYMBOL, "m-1", conditional=False) is None


async def test_order_the_rules_forbid_is_refused_with_the_venue_code(exchange: Connection) -> None:
    with pytest.raises(ExchangeRefused) as refusal:
        await exchange.venue.orders.place(market_order("m-1", Side.BUY, "0.0001"), exchange.now)

    assert refusal.value.code < 0


async def test_resting_order_is_found_listed_and_canceled_once(exchange: Connection) -> None:
    orders = exchange.venue.orders
    await orders.place(limit_order("l-1", Side.BUY, "0.010", "39000"), exchange.now)

    found = await orders.find_order(SYMBOL, "l-1", conditional=False)
    assert found is not None
    assert found.status is VenueStatus.NEW
    assert [report.client_order_id for report in await orders.open_orders(SYMBOL)] == ["l-1"]

    await orders.cancel(SYMBOL, "l-1", conditional=False)
    assert await orders.open_orders() == []
    with pytest.raises(ExchangeRefused):
        await orders.cancel(SYMBOL, "l-1", conditional=False)


async def test_stop_rests_apart_and_is_canceled_as_conditional(exchange: Connection) -> None:
    orders = exchange.venue.orders
    await orders.place(market_order("m-1", Side.BUY, "0.010"), exchange.now)
    placed = await orders.place(stop_order("s-1", Side.SELL, "0.010", "39000"), exchange.now)

    assert placed.conditional
    assert placed.venue_order_id.startswith("algo:")
    listed = await orders.open_orders(SYMBOL)
    assert [(report.client_order_id, report.conditional) for report in listed] == [("s-1", True)]

    await orders.cancel(SYMBOL, "s-1", conditional=True)
    found = await orders.find_order(SYMBOL, "s-1", conditional=True)
    assert found is not None
    assert found.status is VenueStatus.CANCELED


async def test_fired_stop_is_found_with_what_its_working_order_did(exchange: Connection) -> None:
    orders = exchange.venue.orders
    await orders.place(market_order("m-1", Side.BUY, "0.010"), exchange.now)
    await orders.place(stop_order("s-1", Side.SELL, "0.010", "39000"), exchange.now)

    await exchange.step(5)

    fired = await orders.find_order(SYMBOL, "s-1", conditional=True)
    assert fired is not None
    assert (fired.status, fired.executed_quantity) == (VenueStatus.FILLED, Decimal("0.010"))
    trades = await orders.trades(SYMBOL, exchange.now - timedelta(hours=1))
    assert [trade.client_order_id for trade in trades if trade.venue_order_id == fired.triggered_order_id] == ["s-1"]


async def test_recent_orders_are_all_of_a_symbol_resting_or_over(exchange: Connection) -> None:
    orders = exchange.venue.orders
    await orders.place(market_order("m-1", Side.BUY, "0.010"), exchange.now)
    await orders.place(limit_order("l-1", Side.BUY, "0.010", "39000"), exchange.now)
    await orders.place(stop_order("s-1", Side.SELL, "0.010", "39000"), exchange.now)
    await orders.place(stop_order("s-2", Side.SELL, "0.010", "39000"), exchange.now)
    await orders.cancel(SYMBOL, "s-1", conditional=True)

    found = {report.client_order_id: report.status for report in await orders.recent_orders(SYMBOL)}

    assert found == {
        "m-1": VenueStatus.FILLED,
        "l-1": VenueStatus.NEW,
        "s-1": VenueStatus.CANCELED,
        "s-2": VenueStatus.NEW,
    }


async def test_client_id_that_was_never_used_is_proven_absent(exchange: Connection) -> None:
    assert await exchange.venue.orders.find_order(SYMBOL, "never", conditional=False) is None
    assert await exchange.venue.orders.find_order(SYMBOL, "never", conditional=True) is None


async def test_client_id_used_again_gives_the_newest_order(exchange: Connection) -> None:
    orders = exchange.venue.orders
    first = await orders.place(market_order("m-1", Side.BUY, "0.010"), exchange.now)
    second = await orders.place(market_order("m-1", Side.BUY, "0.020"), exchange.now)

    found = await orders.find_order(SYMBOL, "m-1", conditional=False)

    assert found is not None
    assert found.venue_order_id == second.venue_order_id != first.venue_order_id


UNCLEAR: list[tuple[dict[str, object], bool]] = [
    ({"fault": "503_before"}, False),
    ({"fault": "503_after"}, True),
    *(
        ({"fault": "error_after", "status": status, "html": html}, True)
        for status in STATUSES
        for html in (True, False)
    ),
    ({"fault": "drop_after"}, True),
]


@pytest.mark.parametrize(("fault", "executed"), UNCLEAR)
async def test_unclear_answer_is_unknown_and_the_query_tells(
    exchange: Connection, fault: dict[str, object], executed: bool
) -> None:
    body = {**fault, "match": {"method": "POST", "path": "/fapi/v1/order"}, "times": 1}
    assert (await exchange.sim.control("POST", "/faults", body)).status == 200
    orders = exchange.venue.orders

    with pytest.raises(OutcomeUnknown):
        await orders.place(market_order("m-1", Side.BUY, "0.010"), exchange.now)

    found = await orders.find_order(SYMBOL, "m-1", conditional=False)
    assert (found is not None) is executed


async def test_trades_since_a_time_are_each_given_once(exchange: Connection) -> None:
    orders = exchange.venue.orders
    for number in range(3):
        await orders.place(market_order(f"m-{number}", Side.BUY, "0.010"), exchange.now)

    trades = await orders.trades(SYMBOL, exchange.now - timedelta(days=20))

    assert sum(trade.quantity for trade in trades) == Decimal("0.030")
    assert [trade.trade_id for trade in trades] == sorted({trade.trade_id for trade in trades}, key=int)
    assert await orders.trades(SYMBOL, exchange.now + timedelta(minutes=1)) == []


async def test_reduce_only_order_never_turns_the_position_around(exchange: Connection) -> None:
    orders = exchange.venue.orders
    with pytest.raises(ExchangeRefused):
        await orders.place(market_order("m-1", Side.SELL, "0.010", reduce_only=True), exchange.now)

    await orders.place(market_order("m-2", Side.BUY, "0.010"), exchange.now)
    await orders.place(market_order("m-3", Side.SELL, "0.010", reduce_only=True), exchange.now)

    assert (await exchange.venue.account.snapshot()).positions == ()
