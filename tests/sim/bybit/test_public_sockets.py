"""The public sockets of the Bybit face over real sockets: books that add up, tickers by their changes, refusals."""

from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from patriot.kernel.clock import FakeClock
from tests.sim.bybit.socket_client import Json, Venue, running_venue, small_recording
from tests.support import eventually

pytestmark = pytest.mark.integration


@pytest.fixture
async def venue(tmp_path: Path) -> AsyncIterator[Venue]:
    async with running_venue(small_recording(tmp_path)) as running:
        yield running


def kept(messages: list[Json]) -> tuple[dict[Decimal, str], dict[Decimal, str]]:
    """Keep a book as the venue's documents say."""
    sides: tuple[dict[Decimal, str], dict[Decimal, str]] = ({}, {})
    for message in messages:
        for side, rows in zip(sides, (message["data"]["b"], message["data"]["a"]), strict=True):
            if message["type"] == "snapshot":
                side.clear()
            for price, size in rows:
                if size == "0":
                    del side[Decimal(price)]
                else:
                    side[Decimal(price)] = size
    return sides


async def test_book_kept_by_its_changes_is_the_book_of_a_new_listener(venue: Venue) -> None:
    async with venue.socket("public/linear") as early, venue.socket("public/linear") as late:
        await early.subscribe("orderbook.50.BTCUSDT")
        await venue.step(16)
        await venue.settled()
        await late.subscribe("orderbook.50.BTCUSDT")
        await venue.settled()

        told = early.of("orderbook.50.BTCUSDT")
        assert [message["type"] for message in told[:2]] == ["snapshot", "delta"]
        assert [m["data"]["u"] for m in told] == list(range(told[0]["data"]["u"], told[0]["data"]["u"] + len(told)))
        assert kept(told) == kept(late.of("orderbook.50.BTCUSDT"))
        bids, asks = kept(told)
        assert (len(bids), len(asks)) == (50, 50)
        assert max(bids) < min(asks)


async def test_book_of_one_level_is_told_whole_every_time(venue: Venue) -> None:
    async with venue.socket("public/linear") as public:
        await public.subscribe("orderbook.1.BTCUSDT")
        await venue.step(1)
        await venue.settled()

        told = public.of("orderbook.1.BTCUSDT")
        assert len(told) > 1
        assert {message["type"] for message in told} == {"snapshot"}
        assert list(told[0])[:3] == ["topic", "ts", "type"]


async def test_ticker_is_told_whole_and_then_by_what_changed(venue: Venue) -> None:
    async with venue.socket("public/linear") as early, venue.socket("public/linear") as late:
        await early.subscribe("tickers.BTCUSDT")
        await venue.step(16)
        await venue.settled()
        await late.subscribe("tickers.BTCUSDT")
        await venue.settled()

        whole, *changes = (message["data"] for message in early.of("tickers.BTCUSDT"))
        assert whole["lastPrice"] == "40000.0"
        assert all(change["symbol"] == "BTCUSDT" and len(change) < len(whole) for change in changes)
        known = dict(whole)
        for change in changes:
            assert all(known[name] != value for name, value in change.items() if name != "symbol")
            known |= change
        assert known == late.of("tickers.BTCUSDT")[0]["data"]
        assert (known["lastPrice"], known["lowPrice24h"]) == ("39500.0", "39000.0")


async def test_trades_come_with_side_direction_and_rising_ids(venue: Venue) -> None:
    async with venue.socket("public/linear") as public:
        await public.subscribe("publicTrade.BTCUSDT")
        await venue.step(16)
        await venue.settled()

        rows = public.rows("publicTrade.BTCUSDT")
        assert [row["seq"] for row in rows] == sorted({row["seq"] for row in rows})
        assert {row["S"] for row in rows} <= {"Buy", "Sell"}
        directions = {Decimal(row["p"]): row["L"] for row in rows[-4:]}
        assert directions[Decimal(39000)] == "MinusTick"
        assert len({row["i"] for row in rows}) == len(rows)


async def test_direction_of_a_trade_is_known_to_whoever_begins_to_listen_later(venue: Venue) -> None:
    await venue.step(15.9)
    async with venue.socket("public/linear") as early, venue.socket("public/linear") as late:
        await early.subscribe("tickers.BTCUSDT")
        await venue.step(16)  # the last of four prices of the minute that moved
        await venue.settled()
        await late.subscribe("tickers.BTCUSDT")
        await venue.settled()

        known: Json = {}
        for message in early.of("tickers.BTCUSDT"):
            known |= message["data"]
        assert known == late.of("tickers.BTCUSDT")[0]["data"]
        assert {"MinusTick", "PlusTick"} >= {known["tickDirection"]}


async def test_bar_of_a_stepped_replay_comes_once_and_confirmed(venue: Venue) -> None:
    async with venue.socket("public/linear") as public:
        await public.subscribe("kline.15.BTCUSDT", "kline.D.BTCUSDT")
        await venue.step(20)
        await venue.settled()

        bars = public.rows("kline.15.BTCUSDT")
        assert [(bar["confirm"], bar["interval"], bar["close"]) for bar in bars] == [(True, "15", "40000.0")]
        assert bars[0]["end"] - bars[0]["start"] == 15 * 60_000 - 1
        assert public.of("kline.D.BTCUSDT") == []


@pytest.mark.parametrize(("interval", "days"), [("W", 7), ("M", 28)])
async def test_week_and_month_in_progress_are_told_with_their_ends(tmp_path: Path, interval: str, days: int) -> None:
    async with running_venue(small_recording(tmp_path), speed=60) as venue, venue.socket("public/linear") as public:
        await public.subscribe(f"kline.{interval}.BTCUSDT")
        await eventually(lambda: public.rows(f"kline.{interval}.BTCUSDT"))

        bar = public.rows(f"kline.{interval}.BTCUSDT")[0]
        assert (bar["confirm"], bar["end"] - bar["start"]) == (False, days * 86_400_000 - 1)  # in February 2022


async def test_alert_of_deleveraging_lists_every_symbol_of_the_coin(venue: Venue) -> None:
    async with venue.socket("public/linear") as public:
        await public.subscribe("adlAlert.USDT", "adlAlert.inverse")
        await venue.settled()

        (row,) = public.rows("adlAlert.USDT")
        assert (row["c"], row["s"]) == ("USDT", "BTCUSDT")
        assert Decimal(row["b"]) == Decimal(row["mb"])
        assert public.of("adlAlert.inverse") == []


async def test_price_limits_follow_the_mark_price(venue: Venue) -> None:
    async with venue.socket("public/linear") as public:
        await public.subscribe("priceLimit.BTCUSDT")
        await venue.step(16)
        await venue.settled()

        first, *_, last = (message["data"] for message in public.of("priceLimit.BTCUSDT"))
        assert Decimal(first["sellLmt"]) < Decimal(40000) < Decimal(first["buyLmt"])
        assert Decimal(last["buyLmt"]) < Decimal(first["buyLmt"])


async def test_nobody_is_told_after_unsubscribing(venue: Venue) -> None:
    async with venue.socket("public/linear") as public:
        await public.subscribe("publicTrade.BTCUSDT", "tickers.BTCUSDT")
        left = await public.ask({"op": "unsubscribe", "req_id": 9, "args": ["publicTrade.BTCUSDT", "tickers.BTCUSDT"]})
        heard = len(public.messages)
        await venue.step(2)
        await venue.settled()

        assert (left["success"], left["req_id"]) == (True, "9")
        assert len(public.messages) == heard


@pytest.mark.parametrize(
    ("topic", "words"),
    [
        ("orderbook.30.BTCUSDT", "error:handler not found,topic:orderbook.30.BTCUSDT"),
        ("orderbook.50.btcusdt", "error:handler not found,topic:orderbook.50.btcusdt"),
        ("publicTrade.NOPEUSDT", "error:handler not found,topic:publicTrade.NOPEUSDT"),
        ("kline.7.BTCUSDT", "error:handler not found,topic:kline.7.BTCUSDT"),
        ("order", "error:handler not found,topic:order"),
        ("x" * 21_001, "args length > 21000"),
    ],
)
async def test_one_bad_topic_refuses_the_whole_request(venue: Venue, topic: str, words: str) -> None:
    async with venue.socket("public/linear") as public:
        answer = await public.subscribe("publicTrade.BTCUSDT", topic)
        await venue.step(1)
        await venue.settled()

        assert (answer["success"], answer["ret_msg"], answer["op"]) == (False, words, "subscribe")
        assert public.of("publicTrade.BTCUSDT") == []


async def test_topic_that_is_listened_to_already_is_refused_and_goes_on(venue: Venue) -> None:
    async with venue.socket("public/linear") as public:
        await public.subscribe("publicTrade.BTCUSDT")
        again = await public.subscribe("publicTrade.BTCUSDT")
        await venue.step(1)
        await venue.settled()

        assert again["ret_msg"] == "error:already subscribed,topic:publicTrade.BTCUSDT"
        assert public.rows("publicTrade.BTCUSDT") != []


@pytest.mark.parametrize(
    ("frame", "begins"),
    [
        ("hello", "Failed to decode incoming data:readObjectStart: expect { or n, but found h"),
        ("", "Failed to decode incoming data:readObjectStart: expect { or n, but found EOF"),
        ('{"op":', "Failed to decode incoming data:"),
        ('{"op": "subscribe", "args": [{}]}', "Failed to decode incoming data:op.CmdReq.Args"),
        ('{"op": "subscribe", "args": 7}', "Failed to decode incoming data:op.CmdReq.Args"),
        ('{"op": [], "args": []}', "Failed to decode incoming data:"),
        ('{"op": "nope"}', "error:invalid op"),
        ('{"op": "auth", "args": ["a", 1, "b"]}', "error:invalid op"),
        ("[" * 5_000, "Failed to decode incoming data:"),
    ],
)
async def test_bad_frame_is_refused_and_the_socket_goes_on(venue: Venue, frame: str, begins: str) -> None:
    async with venue.socket("public/linear") as public:
        answer = await public.ask(frame)
        pong = await public.ask({"op": "ping", "req_id": 3})

        assert not answer["success"]
        assert answer["ret_msg"].startswith(begins)
        assert (pong["success"], pong["ret_msg"], pong["op"], pong["req_id"]) == (True, "pong", "ping", "3")


@pytest.mark.parametrize("door", ["public/spot", "public/inverse", "public/option", "public/misc/status"])
async def test_other_products_open_and_know_no_symbol(venue: Venue, door: str) -> None:
    async with venue.socket(door) as public:
        assert (await public.subscribe("tickers.BTCUSDT"))["ret_msg"] == "error:handler not found,topic:tickers.BTCUSDT"
        assert (await public.ask({"op": "ping"}))["ret_msg"] == "pong"


async def test_system_status_can_be_listened_to(venue: Venue) -> None:
    async with venue.socket("public/misc/status") as status:
        assert (await status.subscribe("system.status"))["success"]


async def test_running_clock_updates_the_open_bar_the_book_and_the_ticker(tmp_path: Path) -> None:
    async with (
        running_venue(small_recording(tmp_path), speed=600) as venue,
        venue.socket("public/linear") as public,
    ):
        await public.subscribe("kline.60.BTCUSDT", "orderbook.50.BTCUSDT", "tickers.BTCUSDT", "publicTrade.BTCUSDT")
        await eventually(lambda: any(not bar["confirm"] for bar in public.rows("kline.60.BTCUSDT")))
        await eventually(lambda: len(public.of("orderbook.50.BTCUSDT")) > 3)
        await eventually(lambda: any(message["type"] == "delta" for message in public.of("tickers.BTCUSDT")))
        await eventually(lambda: public.rows("publicTrade.BTCUSDT"))


async def test_orders_of_accounts_show_in_the_book_and_on_the_tape_of_a_running_venue(tmp_path: Path) -> None:
    async with (
        running_venue(small_recording(tmp_path), speed=1) as venue,
        venue.socket("public/linear") as public,
        venue.trade(await venue.account()) as trade,
    ):
        await public.subscribe("orderbook.50.BTCUSDT", "publicTrade.BTCUSDT", "kline.1.BTCUSDT")
        await eventually(lambda: public.of("orderbook.50.BTCUSDT"))
        price, size = public.of("orderbook.50.BTCUSDT")[-1]["data"]["b"][3]
        order = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "price": price}
        await trade.ask(venue.request("order.create", {**order, "qty": "0.025"}))
        await trade.ask(venue.request("order.create", {**order, "orderType": "Market", "qty": "0.017"}))
        more = str(Decimal(size) + Decimal("0.025"))

        await eventually(lambda: kept(public.of("orderbook.50.BTCUSDT"))[0].get(Decimal(price)) == more)
        await eventually(
            lambda: any((row["S"], row["v"]) == ("Buy", "0.017") for row in public.rows("publicTrade.BTCUSDT"))
        )
        bars = len(public.of("kline.1.BTCUSDT"))
        await trade.ask(venue.request("order.create", {**order, "qty": "0.025", "price": "38500"}))  # below what shows
        await eventually(lambda: len(public.of("kline.1.BTCUSDT")) > bars)  # told later than any change of the book

        assert all(message["data"]["b"] or message["data"]["a"] for message in public.of("orderbook.50.BTCUSDT"))


async def test_quiet_book_of_one_level_is_told_again_as_it_was(tmp_path: Path) -> None:
    clock = FakeClock()
    async with (
        running_venue(small_recording(tmp_path), speed=1, clock=clock) as venue,
        venue.socket("public/linear") as public,
    ):
        await public.subscribe("orderbook.1.BTCUSDT")
        clock.advance(timedelta(seconds=3))
        await eventually(lambda: len(public.of("orderbook.1.BTCUSDT")) > 1)

        first, again, *_ = public.of("orderbook.1.BTCUSDT")
        assert again["data"] == first["data"]


async def test_address_may_connect_so_often_and_no_more(tmp_path: Path) -> None:
    async with running_venue(small_recording(tmp_path), limits=True) as venue:
        url = f"http://127.0.0.1:{venue.server.bybit_port}/v5/public/linear"
        upgrade = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }
        statuses = []
        for _ in range(501):
            async with venue.http.get(url, headers=upgrade) as answer:
                statuses.append(answer.status)
                answer.close()

        assert statuses == [101] * 500 + [403]


async def test_socket_without_a_message_for_ten_minutes_is_closed(tmp_path: Path) -> None:
    clock = FakeClock()
    async with (
        running_venue(small_recording(tmp_path), clock=clock, limits=True) as venue,
        venue.socket("public/linear") as silent,
        venue.socket("public/linear") as alive,
        venue.socket("private?max_active_time=30s") as short,
    ):
        clock.advance(timedelta(seconds=31))
        await eventually(lambda: short.closed)
        await alive.ask({"op": "ping"})
        clock.advance(timedelta(seconds=570))
        await eventually(lambda: silent.closed)

        assert not alive.closed
