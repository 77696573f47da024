"""The private and trade sockets of the Bybit face over real sockets: who is told what, in which order, and refusals."""

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from patriot.kernel.clock import FakeClock
from tests.sim.bybit.socket_client import FAR_MS, Account, Json, Venue, running_venue, small_recording
from tests.support import eventually

pytestmark = pytest.mark.integration

TOPICS = ("order", "execution", "position", "wallet")
MARKET: Json = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Market", "qty": "0.01"}
LIMIT: Json = {**MARKET, "orderType": "Limit", "price": "38500"}
STOP: Json = {
    **MARKET,
    "side": "Sell",
    "triggerPrice": "39200",
    "triggerDirection": 2,
    "reduceOnly": True,
    "orderLinkId": "stop-1",
}


@pytest.fixture
async def venue(tmp_path: Path) -> AsyncIterator[Venue]:
    async with running_venue(small_recording(tmp_path)) as running:
        yield running


@pytest.fixture
async def account(venue: Venue) -> Account:
    return await venue.account()


async def placed(venue: Venue, account: Account, order: Json) -> str:
    """Place an order over the trade socket and return its id."""
    async with venue.trade(account) as trade:
        answer = await trade.ask(venue.request("order.create", order))
        assert answer["retCode"] == 0, answer
        order_id: str = answer["data"]["orderId"]
        return order_id


# ---------------------------------------------------------------------------------------------------- what is told


async def test_fill_is_told_as_order_execution_position_and_wallet(venue: Venue, account: Account) -> None:
    async with venue.private(account, *TOPICS) as private:
        order_id = await placed(venue, account, MARKET)
        await venue.settled()

        told = [message["topic"] for message in private.messages if "topic" in message]
        assert told == list(TOPICS)
        order, position, wallet = (private.rows(topic)[-1] for topic in ("order", "position", "wallet"))
        fills = private.rows("execution")
        assert (order["orderId"], order["orderStatus"], order["category"]) == (order_id, "Filled", "linear")
        assert sum(Decimal(fill["execQty"]) for fill in fills) == Decimal("0.01")
        assert {fill["orderId"] for fill in fills} == {order_id}
        assert (position["side"], position["size"], position["symbol"]) == ("Buy", "0.01", "BTCUSDT")
        assert Decimal(position["entryPrice"]) == pytest.approx(Decimal(40000), abs=100)
        paid = sum(Decimal(fill["execFee"]) for fill in fills)
        assert Decimal(wallet["coin"][0]["walletBalance"]) == Decimal(10000) - paid
        message = private.of("order")[0]
        assert list(message) == ["id", "topic", "creationTime", "data"]


async def test_resting_order_is_told_new_and_then_cancelled(venue: Venue, account: Account) -> None:
    async with venue.private(account, "order") as private, venue.trade(account) as trade:
        made = await trade.ask(venue.request("order.create", LIMIT))
        named = {"category": "linear", "symbol": "BTCUSDT", "orderId": made["data"]["orderId"]}
        await trade.ask(venue.request("order.amend", {**named, "price": "38400"}))
        await trade.ask(venue.request("order.cancel", named))
        await venue.settled()

        rows = private.rows("order")
        assert [(row["orderStatus"], row["price"]) for row in rows] == [
            ("New", "38500"),
            ("New", "38400"),
            ("Cancelled", "38400"),
        ]
        assert rows[-1]["cancelType"] == "CancelByUser"


async def test_conditional_order_keeps_one_id_from_untriggered_to_filled(venue: Venue, account: Account) -> None:
    await placed(venue, account, MARKET)
    async with venue.private(account, "order", "execution", "position") as private:
        order_id = await placed(venue, account, STOP)
        await venue.step(16)
        await venue.settled()

        rows = private.rows("order")
        assert [row["orderStatus"] for row in rows] == ["Untriggered", "Triggered", "Filled"]
        assert {(row["orderId"], row["orderLinkId"], row["stopOrderType"]) for row in rows} == {
            (order_id, "stop-1", "Stop")
        }
        assert Decimal(rows[-1]["closedPnl"]) < 0
        assert {fill["orderId"] for fill in private.rows("execution")} == {order_id}
        flat = private.rows("position")[-1]
        assert (flat["size"], flat["side"], flat["positionValue"], flat["takeProfit"]) == ("0", "", "0", "0")


async def test_conditional_order_that_is_cancelled_before_it_triggers_is_deactivated(
    venue: Venue, account: Account
) -> None:
    await placed(venue, account, MARKET)
    async with venue.private(account, "order") as private, venue.trade(account) as trade:
        made = await trade.ask(venue.request("order.create", STOP))
        named = {"category": "linear", "symbol": "BTCUSDT", "orderId": made["data"]["orderId"]}
        assert (await trade.ask(venue.request("order.cancel", named)))["retCode"] == 0
        await venue.settled()

        assert [row["orderStatus"] for row in private.rows("order")] == ["Untriggered", "Deactivated"]


async def test_categorised_topics_tell_the_same_under_their_own_names(venue: Venue, account: Account) -> None:
    topics = ("order.linear", "execution.linear", "execution.fast.linear", "position.linear")
    async with venue.private(account, *topics, "order.spot", "dcp.future", "greeks") as private:
        await placed(venue, account, {**MARKET, "orderLinkId": "mine"})
        await venue.settled()

        told = {message["topic"] for message in private.messages if "topic" in message}
        assert told == set(topics)
        fast = private.rows("execution.fast.linear")[0]
        assert sorted(fast) == sorted(
            [
                *("category", "symbol", "execId", "execPrice", "execQty", "orderId"),
                *("isMaker", "orderLinkId", "side", "execTime", "seq"),
            ]
        )
        assert fast["orderLinkId"] == "mine"
        assert "id" not in private.of("execution.fast.linear")[0]


async def test_one_account_never_hears_another(venue: Venue, account: Account) -> None:
    stranger = await venue.account()
    async with venue.private(stranger, *TOPICS) as private:
        await placed(venue, account, MARKET)
        await venue.settled()

        assert [message for message in private.messages if "topic" in message] == []


async def test_every_private_message_counts_as_activity(venue: Venue, account: Account) -> None:
    async with venue.private(account, *TOPICS):
        before = (await venue.control("GET", "/state"))["activity"]
        await placed(venue, account, MARKET)
        await venue.settled()

        assert (await venue.control("GET", "/state"))["activity"] == before + 1 + len(TOPICS)


async def test_the_same_steps_give_the_same_bytes(tmp_path: Path) -> None:
    told: list[list[Json]] = []
    for _ in range(2):
        async with running_venue(small_recording(tmp_path)) as venue:
            account = await venue.account()
            async with venue.private(account, *TOPICS) as private, venue.socket("public/linear") as public:
                await public.subscribe(
                    "orderbook.50.BTCUSDT", "tickers.BTCUSDT", "publicTrade.BTCUSDT", "kline.1.BTCUSDT"
                )
                await placed(venue, account, MARKET)
                await placed(venue, account, STOP)
                await venue.step(17)
                await venue.settled()
                told.append([*private.messages, *public.messages])

    assert len(told[0]) > 100
    assert told[0] == told[1]


async def test_funding_is_told_as_an_execution(tmp_path: Path) -> None:
    async with running_venue(small_recording(tmp_path)) as venue:
        account = await venue.account()
        await placed(venue, account, MARKET)
        async with venue.private(account, "execution", "wallet") as private:
            await venue.step(8 * 60)
            await venue.settled()

            paid = private.rows("execution")
            assert [(row["execType"], row["symbol"]) for row in paid] == [("Funding", "BTCUSDT")]
            assert Decimal(paid[0]["execFee"]) != 0
            assert len(private.rows("wallet")) == 1


async def test_liquidation_is_told_to_the_account_and_to_everyone(venue: Venue) -> None:
    account = await venue.account("100")
    leverage = {"category": "linear", "symbol": "BTCUSDT", "buyLeverage": "100", "sellLeverage": "100"}
    topics = ("allLiquidation.BTCUSDT", "liquidation.BTCUSDT")
    async with venue.private(account, "execution", "position") as private, venue.socket("public/linear") as public:
        await public.subscribe(*topics)
        await venue.post(account, "/v5/position/set-leverage", leverage)
        await placed(venue, account, {**MARKET, "qty": "0.2"})
        await venue.step(16)
        await venue.settled()

        first, last = private.rows("position")[0], private.rows("position")[-1]
        assert (first["leverage"], first["size"], last["size"]) == ("100", "0", "0")
        assert private.rows("execution")[-1]["execType"] == "BustTrade"
        fills = public.rows("allLiquidation.BTCUSDT")
        assert {(fill["s"], fill["S"]) for fill in fills} == {("BTCUSDT", "Buy")}  # a long position ended
        assert sum(Decimal(fill["v"]) for fill in fills) == Decimal("0.2")
        assert public.of("liquidation.BTCUSDT")[0]["data"]["side"] == "Buy"


async def test_protection_of_a_position_is_told_as_orders_and_on_the_position(venue: Venue, account: Account) -> None:
    guarded = {**MARKET, "takeProfit": "40500", "stopLoss": "39100", "tpslMode": "Full"}
    async with venue.private(account, "order", "position") as private:
        await placed(venue, account, guarded)
        await venue.step(16)
        await venue.settled()

        told = [(row["stopOrderType"], row["orderStatus"]) for row in private.rows("order")]
        assert told[:3] == [("", "Filled"), ("TakeProfit", "Untriggered"), ("StopLoss", "Untriggered")]
        assert sorted(status for _, status in told[3:]) == ["Deactivated", "Filled", "Triggered"]
        assert (private.rows("position")[0]["takeProfit"], private.rows("position")[0]["stopLoss"]) == (
            "40500",
            "39100",
        )
        assert private.rows("position")[-1]["size"] == "0"


async def test_no_topic_no_message(venue: Venue, account: Account) -> None:
    async with venue.private(account, "order") as private:
        assert (await private.ask({"op": "unsubscribe", "args": ["order", "wallet"]}))["success"]
        await placed(venue, account, MARKET)
        await venue.settled()

        assert [message for message in private.messages if "topic" in message] == []


# ---------------------------------------------------------------------------------------------------- authentication


async def test_private_topics_before_authentication_are_refused(venue: Venue) -> None:
    async with venue.socket("private") as private:
        answer = await private.subscribe("order")
        pong = await private.ask({"op": "ping", "req_id": "p"})

        assert (answer["success"], answer["op"], answer["req_id"]) == (False, "subscribe", "s")
        assert (pong["op"], pong["req_id"]) == ("pong", "p")
        assert pong["args"][0].isdecimal()


@pytest.mark.parametrize(
    ("change", "words", "code"),
    [
        ({}, "", 0),
        ({"expires": 1}, "Params Error", 10001),
        ({"expires": "soon"}, "Params Error", 10001),
        ({"expires": "9" * 5_000}, "Params Error", 10001),
        ({"api_key": "nobody"}, "API key is invalid.", 10003),
        ({"sign": "00"}, "Invalid sign", 10004),
        ({"sign": "\u00e9"}, "Invalid sign", 10004),
        ({"more": 1}, "Params Error", 10001),
        ({"sign": {}}, "Params Error", 10001),
    ],
)
async def test_key_is_checked_on_both_private_doors(
    venue: Venue, account: Account, change: Json, words: str, code: int
) -> None:
    expires = change.get("expires", FAR_MS)
    sign = change.get("sign", account.sign(f"GET/realtime{expires}"))
    arguments = [change.get("api_key", account.api_key), expires, sign, *([1] if "more" in change else [])]
    async with venue.socket("private") as private, venue.socket("trade") as trade:
        told = await private.ask({"op": "auth", "args": arguments})
        traded = await trade.ask({"op": "auth", "args": arguments, "reqId": "a"})

        assert (told["success"], told["ret_msg"], told["op"]) == (not words, words, "auth")
        assert (traded["retCode"], traded["retMsg"], traded["op"]) == (code, words or "OK", "auth")
        assert traded["reqId"] == "a"
        if not words:
            assert (await trade.ask({"op": "auth", "args": arguments}))["retCode"] == 20001


async def test_all_and_one_category_of_a_topic_do_not_go_together(venue: Venue, account: Account) -> None:
    async with venue.private(account) as private:
        assert not (await private.subscribe("order", "order.linear"))["success"]
        assert (await private.subscribe("nonsense"))["ret_msg"] == "error:handler not found,topic:nonsense"
        assert (await private.subscribe("order", "execution.linear"))["success"]


async def test_sockets_of_a_key_that_was_revoked_are_closed(venue: Venue, account: Account) -> None:
    async with venue.private(account, "order") as private:
        await venue.control("DELETE", f"/keys/{account.api_key}")
        await eventually(lambda: private.closed)


# ---------------------------------------------------------------------------------------------------- order entry


async def test_order_request_is_answered_in_the_shape_of_the_venue(venue: Venue, account: Account) -> None:
    async with venue.trade(account) as trade:
        answer = await trade.ask(venue.request("order.create", {**LIMIT, "orderLinkId": "a-1"}))

        assert list(answer) == ["reqId", "retCode", "retMsg", "op", "data", "retExtInfo", "header", "connId"]
        assert (answer["retCode"], answer["retMsg"], answer["op"]) == (0, "OK", "order.create")
        assert answer["data"]["orderLinkId"] == "a-1"
        assert {"X-Bapi-Limit", "X-Bapi-Limit-Status", "Traceid", "Timenow"} <= set(answer["header"])
        pong = await trade.ask({"op": "ping"})
        assert (pong["retCode"], pong["op"]) == (0, "pong")


async def test_batch_is_answered_order_by_order(venue: Venue, account: Account) -> None:
    orders = [{**LIMIT, "orderLinkId": "b-1"}, {**LIMIT, "orderLinkId": "b-2", "qty": "0"}]
    async with venue.trade(account) as trade:
        made = await trade.ask(venue.request("order.create-batch", {"category": "linear", "request": orders}))
        changes = [{"symbol": "BTCUSDT", "orderLinkId": "b-1", "price": "38000"}]
        changed = await trade.ask(venue.request("order.amend-batch", {"category": "linear", "request": changes}))
        names = [{"symbol": "BTCUSDT", "orderLinkId": "b-1"}, {"symbol": "BTCUSDT", "orderLinkId": "b-9"}]
        ended = await trade.ask(venue.request("order.cancel-batch", {"category": "linear", "request": names}))

        assert [answer["retCode"] for answer in (made, changed, ended)] == [0, 0, 0]
        assert [one["code"] == 0 for one in made["retExtInfo"]["list"]] == [True, False]
        assert [one["code"] for one in changed["retExtInfo"]["list"]] == [0]
        assert [one["code"] for one in ended["retExtInfo"]["list"]] == [0, 110001]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"op": "order.dance"}, 10404),
        ({"op": "subscribe"}, 10404),
        ({"args": [{**LIMIT, "category": "moon"}]}, 10404),
        ({"args": [{**LIMIT, "category": "spot"}]}, 10001),
        ({"args": []}, 10001),
        ({"args": ["order"]}, 10001),
        ({"args": [LIMIT, LIMIT]}, 10001),
        ({"header": {}}, 10001),
        ({"header": {"X-BAPI-TIMESTAMP": "1"}}, 10002),
        ({"reqId": "x" * 37}, 10001),
        ({"args": [{**LIMIT, "qty": "20"}]}, 110007),
    ],
)
async def test_bad_order_request_gets_the_code_of_the_venue(
    venue: Venue, account: Account, change: Json, code: int
) -> None:
    async with venue.trade(account) as trade:
        answer = await trade.ask({**venue.request("order.create", LIMIT), **change})
        fine = await trade.ask(venue.request("order.create", LIMIT))

        assert (answer["retCode"], answer["data"]) == (code, {})
        assert fine["retCode"] == 0


async def test_request_id_is_used_once(venue: Venue, account: Account) -> None:
    async with venue.trade(account) as trade:
        request = venue.request("order.create", LIMIT)
        assert (await trade.ask(request))["retCode"] == 0
        assert (await trade.ask(request))["retCode"] == 20006


async def test_address_may_ask_so_often_in_a_second_and_no_more(tmp_path: Path) -> None:
    async with (
        running_venue(small_recording(tmp_path), limits=True, clock=FakeClock()) as venue,
        venue.socket("trade") as trade,
    ):
        for _ in range(3_001):
            await trade.socket.send_str('{"op":"order.create"}')
        await eventually(lambda: len(trade.messages) == 3_001)

        assert [answer["retCode"] for answer in trade.messages] == [10005] * 3_000 + [10403]


async def test_order_without_a_key_or_its_right_is_refused(venue: Venue) -> None:
    reader = await venue.account(permissions=("read",))
    async with venue.socket("trade") as stranger, venue.trade(reader) as trade:
        assert (await stranger.ask(venue.request("order.create", LIMIT)))["retCode"] == 10005
        assert (await trade.ask(venue.request("order.create", LIMIT)))["retCode"] == 10005


# ---------------------------------------------------------------------------------------------------- disconnection


@pytest.mark.slow  # three seconds are the shortest window that the venue takes
async def test_orders_end_when_nobody_comes_back_to_watch_them(venue: Venue, account: Account) -> None:
    async with venue.private(account, "order") as witness:
        async with venue.private(account, "dcp.future"):
            await venue.post(account, "/v5/order/disconnected-cancel-all", {"timeWindow": 3})
            await placed(venue, account, LIMIT)
        await eventually(lambda: [row["orderStatus"] for row in witness.rows("order")] == ["New", "Cancelled"])


# ---------------------------------------------------------------------------------------------------- faults


@pytest.mark.parametrize(("fault", "copies"), [("drop", 0), ("duplicate", 2), ("delay", 1)])
async def test_stream_fault_hits_the_named_topic_once(venue: Venue, account: Account, fault: str, copies: int) -> None:
    async with venue.private(account, "order", "position") as private:
        await venue.control("POST", "/faults", {"stream": fault, "event": "position", "times": 1, "delay_ms": 50})
        await placed(venue, account, MARKET)
        await venue.settled()
        at_once = len(private.of("position"))
        await placed(venue, account, MARKET)
        await eventually(lambda: len(private.of("position")) == copies + 1)

        assert at_once == (copies if fault != "delay" else 0)
        assert len(private.of("order")) == 2


async def test_disconnect_fault_closes_the_sockets_of_the_account(venue: Venue, account: Account) -> None:
    async with venue.private(account, "order") as private:
        await venue.control("POST", "/faults", {"stream": "disconnect", "uid": account.uid})
        async with venue.trade(account) as trade:
            await trade.socket.send_json(venue.request("order.create", MARKET))
            await eventually(lambda: private.closed)


@pytest.mark.parametrize(
    ("fault", "code", "executed"),
    [("503_before", 10016, False), ("503_after", 10016, True), ("rate_limit", 10006, False)],
)
async def test_fault_of_an_order_request_is_told_as_the_venue_would(
    venue: Venue, account: Account, fault: str, code: int, *, executed: bool
) -> None:
    async with venue.private(account, "order") as private, venue.trade(account) as trade:
        match = {"method": "WS", "path": "order.create"}
        await venue.control("POST", "/faults", {"fault": fault, "match": match, "times": 1})
        answer = await trade.ask(venue.request("order.create", LIMIT))
        await venue.settled()

        assert answer["retCode"] == code
        assert len(private.rows("order")) == (1 if executed else 0)


async def test_answer_that_is_lost_never_comes_though_the_order_was_taken(venue: Venue, account: Account) -> None:
    async with venue.private(account, "order") as private, venue.trade(account) as trade:
        match = {"method": "WS", "path": "order.create"}
        await venue.control("POST", "/faults", {"fault": "timeout_after", "match": match, "times": 1})
        await trade.socket.send_json(venue.request("order.create", LIMIT))
        await eventually(lambda: private.rows("order"))
        pong = await trade.ask({"op": "ping"})

        assert pong["op"] == "pong"
