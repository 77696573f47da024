"""Recorded aggregate trades: played one by one with their own quantity and side, bars are built from them."""

import gzip
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.kernel.errors import InvalidInput
from patriot.sim.engine.operations import MovePrice
from patriot.sim.prices.feed import Feed
from patriot.sim.prices.recorded import load_recorded
from tests.sim.binance.client import START_MS, flat, write_dump

pytestmark = pytest.mark.integration

HEADER = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker"
# offset in ms, price, quantity, is_buyer_maker
TRADES = [
    (150, "100.0", "1.000", "false"),
    (150, "100.1", "0.500", "false"),
    (30_000, "99.0", "2.000", "true"),
    (59_999, "99.5", "0.100", "false"),
    (200_000, "105.0", "0.250", "true"),
]


def trade(number: int, offset_ms: int, price: str, quantity: str, side: str) -> str:
    return f"{number},{price},{quantity},{2 * number},{2 * number + 1},{START_MS + offset_ms},{side}"


GOOD = [trade(number, *one) for number, one in enumerate(TRADES)]


def write_trades(path: Path, lines: list[str] = GOOD, header: str | None = HEADER) -> Path:
    path.write_text("\n".join([*([header] if header else []), *lines]) + "\n")
    return path


def moves(feed: Feed, minutes: int) -> list[tuple[int, MovePrice]]:
    steps = [step for index in range(minutes) for step in feed.steps(index)]
    return [(step.at_ms - START_MS, move) for step in steps for move in step.moves]


def test_every_trade_is_played_at_its_time_with_quantity_and_side(tmp_path: Path) -> None:
    feed = load_recorded(write_trades(tmp_path / "ETHUSDT-aggTrades-2022-02-01.csv"))

    assert (feed.symbols, feed.start_ms, feed.length) == (("ETHUSDT",), START_MS, 4)
    played = moves(feed, 4)
    assert [(at, str(move.last), str(move.quantity)) for at, move in played] == [
        (offset_ms, price, quantity) for offset_ms, price, quantity, _ in TRADES
    ]
    assert [move.buyer_is_maker for _, move in played] == [side == "true" for *_, side in TRADES]
    assert [move.jump for _, move in played] == [True, False, False, False, True], "a minute of silence is a hole"


def test_minute_bars_are_built_from_the_trades(tmp_path: Path) -> None:
    feed = load_recorded(write_trades(tmp_path / "BTCUSDT-aggTrades.csv"))

    bar, silent = feed.bar("BTCUSDT", 0), feed.bar("BTCUSDT", 1)
    assert (bar.open, bar.high, bar.low, bar.close) == tuple(map(Decimal, ("100.0", "100.1", "99.0", "99.5")))
    assert (bar.volume, bar.trades, bar.taker_buy_volume) == (Decimal("3.600"), 8, Decimal("1.600"))
    assert bar.quote_volume == Decimal("358.0000")
    assert (silent.open, silent.close, silent.volume) == (Decimal("99.5"), Decimal("99.5"), Decimal(0))


def test_header_and_packing_change_nothing(tmp_path: Path) -> None:
    plain = write_trades(tmp_path / "BTCUSDT-a.csv", header=None)
    packed = tmp_path / "BTCUSDT-b.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))

    assert moves(load_recorded(plain), 4) == moves(load_recorded(packed), 4)


def test_trades_and_klines_of_two_symbols_are_merged_by_time(tmp_path: Path) -> None:
    klines = write_dump(tmp_path / "BTCUSDT-1m.csv", flat("40000.0", 3))
    feed = load_recorded(klines, write_trades(tmp_path / "ETHUSDT-aggTrades.csv"))

    steps = feed.steps(0)
    assert feed.length == 3
    assert [(step.at_ms - START_MS, [move.symbol for move in step.moves]) for step in steps] == [
        (150, ["ETHUSDT", "ETHUSDT"]),
        (1_000, ["BTCUSDT"]),
        (20_000, ["BTCUSDT"]),
        (30_000, ["ETHUSDT"]),
        (40_000, ["BTCUSDT"]),
        (59_999, ["BTCUSDT", "ETHUSDT"]),
    ]
    assert [step.due_ms for step in steps][-1] == START_MS + 60_000
    assert [bool(step.bars) for step in steps] == [False] * 5 + [True]


def test_klines_and_trades_of_one_symbol_are_refused(tmp_path: Path) -> None:
    klines = write_dump(tmp_path / "BTCUSDT-1m.csv", flat("40000.0", 3))
    trades = write_trades(tmp_path / "BTCUSDT-aggTrades.csv")

    with pytest.raises(InvalidInput, match=r"expected klines as in BTCUSDT-1m\.csv, found trades|expected trades"):
        load_recorded(klines, trades)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1,100.0,1.0,2,3,1643673600200", "expected 7 columns, found 6"),
        ("x,100.0,1.0,2,3,1643673600200,true", "agg_trade_id: expected a whole number"),
        ("1,NaN,1.0,2,3,1643673600200,true", "price: expected a plain decimal"),
        ("1,0,1.0,2,3,1643673600200,true", "price: expected a positive number"),
        ("1,100.0,-1,2,3,1643673600200,true", "quantity: expected a positive number"),
        ("1,100.0,1.0,3,2,1643673600200,true", "expected first_trade_id <= last_trade_id"),
        ("1,100.0,1.0,2,3,1643673600,true", "expected transact_time in milliseconds"),
        ("1,100.0,1.0,2,3,1643673600000,true", "unsorted trade"),
        ("1,100.0,1.0,2,3,1643673600200,1", "is_buyer_maker: expected true or false"),
    ],
)
def test_broken_trade_is_refused_by_line(tmp_path: Path, line: str, said: str) -> None:
    path = write_trades(tmp_path / "BTCUSDT-aggTrades.csv", [GOOD[0], line])

    with pytest.raises(InvalidInput, match=f"BTCUSDT-aggTrades.csv line 3: {said}"):
        load_recorded(path)


@given(
    st.lists(
        st.tuples(st.integers(0, 300_000), st.integers(1, 999), st.integers(1, 99), st.booleans()),
        min_size=1,
        max_size=40,
    )
)
def test_bars_hold_exactly_what_was_played(
    tmp_path_factory: pytest.TempPathFactory, found: list[tuple[int, int, int, bool]]
) -> None:
    rows = [
        trade(number, at, str(price), str(quantity), str(side).lower())
        for number, (at, price, quantity, side) in enumerate(sorted(found, key=lambda one: one[0]))
    ]
    feed = load_recorded(write_trades(tmp_path_factory.mktemp("dump") / "BTCUSDT.csv", rows))

    bars = [feed.bar("BTCUSDT", index) for index in range(feed.length or 0)]
    played = moves(feed, len(bars))
    assert sum(bar.volume for bar in bars) == sum(move.quantity or 0 for _, move in played)
    assert [at for at, _ in played] == sorted(at for at, *_ in found)
    for index, bar in enumerate(bars):
        prices = [move.last for step in feed.steps(index) for move in step.moves]
        if prices:
            assert (bar.open, bar.high, bar.low, bar.close) == (prices[0], max(prices), min(prices), prices[-1])
