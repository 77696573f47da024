"""Market streams over real sockets: what each one says, on which door, and that the book can be followed exactly."""

from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.kernel.clock import FakeClock
from patriot.sim.binance.render import depth as snapshot_of
from patriot.sim.binance.stream_depth import DepthTeller
from patriot.sim.binance.stream_names import Entry, Kind, market_stream
from patriot.sim.binance.subscriptions import SLACK_MS
from patriot.sim.engine.records import Depth
from tests.sim.binance.client import Sim, flat, running_sim, write_dump
from tests.sim.binance.listeners import listening, settled
from tests.support import eventually

pytestmark = pytest.mark.integration

EVERY_STREAM = {
    "btcusdt@aggTrade": "aggTrade",
    "btcusdt@markPrice": "markPriceUpdate",
    "btcusdt@kline_1m": "kline",
    "btcusdt_perpetual@continuousKline_1m": "continuous_kline",
    "btcusdt@miniTicker": "24hrMiniTicker",
    "btcusdt@ticker": "24hrTicker",
}
EVERY_LIST = {
    "!markPrice@arr": "markPriceUpdate",
    "!markPrice@arr@1s": "markPriceUpdate",
    "!miniTicker@arr": "24hrMiniTicker",
    "!ticker@arr": "24hrTicker",
}
PUBLIC_STREAMS = {
    "btcusdt@trade": "trade",
    "btcusdt@bookTicker": "bookTicker",
    "!bookTicker": "bookTicker",
    "btcusdt@depth10@500ms": "depthUpdate",
    "btcusdt@depth": "depthUpdate",
    "btcusdt@rpiDepth@500ms": "depthUpdate",
}


@dataclass
class LocalBook:
    """A client that keeps a book as the venue's document says: the snapshot first, then each difference."""

    bids: dict[str, Decimal] = field(default_factory=dict)
    asks: dict[str, Decimal] = field(default_factory=dict)
    last_update_id: int = 0
    previous_u: int | None = None

    def start(self, snapshot: dict[str, Any]) -> None:
        self.bids = {price: Decimal(quantity) for price, quantity in snapshot["bids"]}
        self.asks = {price: Decimal(quantity) for price, quantity in snapshot["asks"]}
        self.last_update_id = snapshot["lastUpdateId"]

    def take(self, update: dict[str, Any]) -> None:
        if update["u"] < self.last_update_id:
            return
        if self.previous_u is None:
            assert update["U"] <= self.last_update_id <= update["u"]
        else:
            assert update["pu"] == self.previous_u
        self.previous_u = update["u"]
        for side, rows in ((self.bids, update["b"]), (self.asks, update["a"])):
            for price, quantity in rows:
                side[price] = Decimal(quantity)
                if not side[price]:
                    del side[price]

    def equals(self, snapshot: dict[str, Any]) -> bool:
        other = LocalBook()
        other.start(snapshot)
        return (self.bids, self.asks) == (other.bids, other.asks)


async def snapshot(sim: Sim) -> dict[str, Any]:
    answer: dict[str, Any] = (await sim.public("/fapi/v1/depth", symbol="BTCUSDT", limit=1000)).body
    return answer


# ---------------------------------------------------------------------------------------------------- what is said


@pytest.mark.parametrize(("door", "names"), [("market", EVERY_STREAM | EVERY_LIST), ("public", PUBLIC_STREAMS)])
async def test_every_stream_of_a_door_speaks_in_its_own_words(sim: Sim, door: str, names: dict[str, str]) -> None:
    async with listening(sim, f"/{door}/stream?streams={'/'.join(names)}") as socket:
        await sim.step(2)
        await settled(sim)

    told = {m["stream"]: m["data"] for m in socket.messages}
    assert {name: (data[0] if isinstance(data, list) else data)["e"] for name, data in told.items()} == names
    assert all(isinstance(told[name], list) == (name in EVERY_LIST) for name in names)


@pytest.mark.parametrize(("door", "names"), [("market", PUBLIC_STREAMS), ("public", EVERY_STREAM | EVERY_LIST)])
async def test_a_stream_on_another_door_is_accepted_and_silent(sim: Sim, door: str, names: dict[str, str]) -> None:
    async with listening(sim, f"/{door}/stream?streams={'/'.join(names)}") as socket:
        await sim.step(2)
        await settled(sim)
        listed = (await socket.ask({"method": "LIST_SUBSCRIPTIONS", "id": 1}))["result"]

    assert socket.messages == []
    assert listed == list(names)


async def test_legacy_paths_carry_market_data_of_both_kinds(sim: Sim) -> None:
    async with (
        listening(sim, "/ws/btcusdt@aggTrade") as trades,
        listening(sim, "/stream?streams=btcusdt@bookTicker/btcusdt@markPrice@1s") as prices,
    ):
        await sim.step(1)
        await settled(sim)

    assert {m["e"] for m in trades.messages} == {"aggTrade"}
    assert {m["data"]["e"] for m in prices.messages} == {"bookTicker", "markPriceUpdate"}


async def test_streams_of_what_is_not_listed_are_silent(sim: Sim) -> None:
    names = "btcdomusdt@compositeIndex/!assetIndex@arr/tradingSession/xyzusdt@ticker/xyzusdt@aggTrade/btcusdt@kline_7m"
    async with (
        listening(sim, f"/market/stream?streams={names}") as market,
        listening(sim, "/public/stream?streams=xyzusdt@depth/xyzusdt@depth5/xyzusdt@rpiDepth@500ms") as public,
    ):
        await sim.step(2)
        await settled(sim)

    assert (market.messages, public.messages) == ([], [])


async def test_bars_longer_than_a_day_are_told_as_rest_answers_them() -> None:
    intervals = ("3d", "1w", "1M")
    names = "/".join(f"btcusdt@kline_{interval}" for interval in intervals)
    async with running_sim(None, speed=60) as sim, listening(sim, f"/market/stream?streams={names}") as market:
        await eventually(lambda: len({m["stream"] for m in market.messages}) == len(intervals))
        answered = {
            interval: (await sim.public("/fapi/v1/klines", symbol="BTCUSDT", interval=interval)).body[-1]
            for interval in intervals
        }

    told = {m["data"]["k"]["i"]: m["data"]["k"] for m in market.messages}
    assert {interval: (bar["t"], bar["T"]) for interval, bar in told.items()} == {
        interval: (row[0], row[6]) for interval, row in answered.items()
    }


async def test_day_ticker_tells_open_high_low_and_change(sim: Sim) -> None:
    async with listening(sim, "/market/ws/btcusdt@ticker/btcusdt@miniTicker") as market:
        await sim.step(16)
        await settled(sim)

    day, mini = market.named("24hrTicker")[-1], market.named("24hrMiniTicker")[-1]
    assert (day["o"], day["h"], day["l"], day["c"]) == ("40000.0", "40600.0", "39000.0", "39500.0")
    assert (day["p"], day["P"]) == ("-500.0", "-1.250")
    assert (mini["o"], mini["h"], mini["l"], mini["c"]) == (day["o"], day["h"], day["l"], day["c"])


async def test_halt_of_a_symbol_is_told_as_contract_info(sim: Sim) -> None:
    async with listening(sim, "/market/ws/!contractInfo") as market:
        await sim.control("POST", "/faults", {"action": "halt", "symbol": "BTCUSDT"})
        await settled(sim)

    told = [(m["s"], m["ct"], m["bks"][0]["bs"]) for m in market.named("contractInfo")]
    assert told == [("BTCUSDT", "PERPETUAL", 1)]


async def test_running_clock_tells_prices_and_tickers_each_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("patriot.sim.server.HOUSEKEEPING_SECONDS", 0.01)
    data = write_dump(tmp_path / "BTCUSDT.csv", flat("100.0", 3))
    names = [*(name for name in EVERY_STREAM if "rice" in name or "icker" in name), "btcusdt@markPrice@1s"]
    async with (
        running_sim(data, speed=60) as sim,
        listening(sim, f"/market/stream?streams={'/'.join([*names, *EVERY_LIST])}") as market,
    ):
        wanted = {*names, "!markPrice@arr", "!markPrice@arr@1s"}
        await eventually(lambda: {m["stream"] for m in market.messages} >= wanted)

    for name, every_ms in (("btcusdt@markPrice", 3_000), ("btcusdt@markPrice@1s", 1_000)):
        times = [m["data"]["E"] for m in market.messages if m["stream"] == name]
        assert all(later - earlier >= every_ms - SLACK_MS for earlier, later in pairwise(times))


# ---------------------------------------------------------------------------------------------------- the book


async def test_client_that_follows_the_differences_has_the_exact_book(sim: Sim) -> None:
    await sim.step(1)
    book = LocalBook()
    async with listening(sim, "/public/ws/btcusdt@depth@100ms") as socket:
        await sim.step(1.5)
        await settled(sim)
        book.start(await snapshot(sim))  # differences from before it are still to be dropped
        await sim.step(3)
        await settled(sim)
        for update in socket.messages:
            book.take(update)

        assert book.previous_u is not None
        assert book.equals(await snapshot(sim))
        assert not book.equals({**await snapshot(sim), "bids": []})


async def test_snapshot_in_a_quiet_market_is_followed_without_a_gap(sim: Sim) -> None:
    await sim.step(1)
    book = LocalBook()
    async with listening(sim, "/public/ws/btcusdt@depth") as socket:
        book.start(await snapshot(sim))
        await sim.step(2)
        await settled(sim)
        for update in socket.messages:
            book.take(update)

        assert book.equals(await snapshot(sim))


async def test_running_clock_tells_orders_that_change_the_book_and_meet_in_it(tmp_path: Path) -> None:
    data = write_dump(tmp_path / "BTCUSDT.csv", flat("40000.0", 3))
    wish = {"symbol": "BTCUSDT", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.500", "price": "39990.0"}
    book = LocalBook()
    async with (
        running_sim(data, speed=1, clock=FakeClock()) as sim,
        listening(sim, "/public/stream?streams=btcusdt@depth@100ms/btcusdt@bookTicker") as public,
        listening(sim, "/market/ws/btcusdt@aggTrade") as trades,
    ):
        maker, taker = await sim.trader("1000000"), await sim.trader("1000000")
        book.start(await snapshot(sim))
        resting = await maker.signed("POST", "/fapi/v1/order", **wish, side="BUY")
        await maker.signed("DELETE", "/fapi/v1/order", symbol="BTCUSDT", orderId=resting.body["orderId"])
        seen_between = LocalBook()
        seen_between.start(await snapshot(sim))  # in the middle of what the stream tells at once
        await maker.signed("POST", "/fapi/v1/order", **wish, side="BUY")
        await taker.signed("POST", "/fapi/v1/order", **{**wish, "price": "39980.0", "quantity": "5"}, side="SELL")
        wanted = await snapshot(sim)
        updates = [m["data"] for m in public.messages if m["stream"].endswith("100ms")]

        def followed() -> bool:
            updates[:] = [m["data"] for m in public.messages if m["stream"].endswith("100ms")]
            return bool(updates) and updates[-1]["u"] == wanted["lastUpdateId"] - 1

        await eventually(followed)
        await eventually(lambda: trades.messages)
        tops = [m["data"] for m in public.messages if m["stream"].endswith("bookTicker")]

    for follower in (book, seen_between):
        for update in updates:
            follower.take(update)
        assert follower.equals(wanted)
    assert (tops[-1]["b"], tops[-1]["a"]) == (wanted["bids"][0][0], wanted["asks"][0][0])
    assert all(m["m"] for m in trades.messages)  # the sellers took


_PRICES = [Decimal(price) for price in range(1, 9)]
_SIDES = st.dictionaries(st.sampled_from(_PRICES), st.integers(1, 3).map(Decimal), max_size=4)


@given(st.lists(st.tuples(_SIDES, _SIDES, st.booleans()), min_size=2, max_size=12), st.data())
def test_any_books_told_at_any_moments_are_followed_exactly(
    books: list[tuple[dict[Decimal, Decimal], dict[Decimal, Decimal], bool]], data: st.DataObject
) -> None:
    """A book changes with each step; the stream tells only some of the steps, as its speed lets it."""
    depths = [
        Depth("BTCUSDT", number, number, tuple(sorted(bids.items(), reverse=True)), tuple(sorted(asks.items())))
        for number, (bids, asks, _) in enumerate(books)
    ]
    name = market_stream("btcusdt@depth@100ms")
    assert name is not None
    teller, book = DepthTeller(name, depths[0]), LocalBook()
    taken_at = data.draw(st.integers(0, len(depths) - 1))
    buffered = []
    for number, depth in enumerate(depths):
        told = teller.message(depth) if books[number][2] or number == len(depths) - 1 else None
        if told is not None:
            buffered.append(told)
        if number == taken_at:
            teller.observe(depth)
            book.start(snapshot_of(depth))
    for update in buffered:
        book.take(update)

    assert book.equals(snapshot_of(depths[-1]))


@pytest.mark.parametrize(
    ("text", "kind", "door"),
    [
        ("btcusdt@depth", Kind.DEPTH, Entry.PUBLIC),
        ("btcusdt@depth20", Kind.PARTIAL_DEPTH, Entry.PUBLIC),
        ("1000shibusdt@kline_1h", Kind.KLINE, Entry.MARKET),
        ("ethusdt@forceOrder", Kind.LIQUIDATION, Entry.MARKET),
        ("!contractInfo", Kind.INSTRUMENT, Entry.MARKET),
        ("BTCUSDT@aggTrade", None, None),
        ("btcusdt@depth7", None, None),
        ("a-listen-key", None, None),
    ],
)
def test_names_of_streams_are_read_as_the_documents_spell_them(
    text: str, kind: Kind | None, door: Entry | None
) -> None:
    name = market_stream(text)

    assert (name and name.kind, name and name.door) == (kind, door)
