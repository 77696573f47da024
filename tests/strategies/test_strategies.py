"""The strategies themselves: indicators, rules, the virtual position, and what they do on recorded prices."""

import gzip
import math
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from patriot.kernel.errors import InvalidInput
from patriot.market.events import Bar
from patriot.strategies.backtest import backtest
from patriot.strategies.bracket import BracketStrategy
from patriot.strategies.catalogue import build, warm_up_bars
from patriot.strategies.events import SignalAction
from patriot.strategies.indicators import Atr, Donchian, Ema, Rsi
from patriot.strategies.interface import StrategySpec, Wish
from patriot.strategies.parameters import KINDS, Parameter, complete
from patriot.trading.terms import Side
from tests.strategies.recorded import LONG_AGO, QUARTER, RECORDING, START, bar, minutes_of, quarters_of

pytestmark = pytest.mark.unit

TICK = Decimal("0.1")
BARS = quarters_of(minutes_of(RECORDING))
HINDSIGHT = {"data_file": str(RECORDING)}
prices = st.floats(1, 1e6)


def spec(kind: str, parameters: dict[str, str] | None = None) -> StrategySpec:
    return StrategySpec("s-1", kind, "BTCUSDT", "15m", parameters or {}, TICK, LONG_AGO)


class Told:
    """A rule that is told what to want: per bar, a side to enter on and a side to leave."""

    warm_up_bars = 0

    def __init__(
        self, entries: dict[int, Side], leaves: dict[int, Side] | None = None, target: float | None = 20
    ) -> None:
        self._entries, self._leaves, self._target = entries, leaves or {}, target
        self._bar = -1

    def update(self, bar: Bar) -> None:
        self._bar += 1

    def entry(self) -> Side | None:
        return self._entries.get(self._bar)

    def leaves(self, side: Side) -> bool:
        return self._leaves.get(self._bar) is side

    def stop_distance(self) -> float:
        return 10

    def target_distance(self) -> float | None:
        return self._target

    def confidence(self) -> float:
        return 7.5

    def readings(self) -> dict[str, float]:
        return {"x": 1 / 3}


def wishes_of(rule: Told, bars: Sequence[Bar]) -> list[tuple[int, SignalAction]]:
    strategy = BracketStrategy(rule, TICK, LONG_AGO)
    return [(number, wish.action) for number, one in enumerate(bars) for wish in strategy.on_bar(one)]


BUY, SELL, CLOSE = SignalAction.BUY, SignalAction.SELL, SignalAction.CLOSE
ALWAYS_LONG = dict.fromkeys(range(9), Side.BUY)


def test_entry_carries_stop_and_target_on_the_tick() -> None:
    strategy = BracketStrategy(Told({0: Side.SELL}), Decimal("0.5"), LONG_AGO)
    assert strategy.on_bar(bar(0, 100.3)) == [
        Wish(SELL, Decimal("100.3"), Decimal("110.5"), Decimal("80.5"), Decimal("1.00"), {"x": "0.3333"})
    ]


def test_position_is_held_while_nothing_ends_it() -> None:
    assert wishes_of(Told(ALWAYS_LONG), [bar(n, 100) for n in range(9)]) == [(0, BUY)]


@pytest.mark.parametrize("ending", [bar(1, 95, low=90), bar(1, 115, high=120)], ids=["stop", "target"])
def test_position_ended_inside_a_bar_may_be_followed_by_an_entry_on_the_next(ending: Bar) -> None:
    assert wishes_of(Told(ALWAYS_LONG), [bar(0, 100), ending, bar(2, 100)]) == [(0, BUY), (2, BUY)]


@pytest.mark.parametrize("ending", [bar(1, 105, high=110), bar(1, 85, low=80)], ids=["stop", "target"])
def test_short_position_is_ended_by_the_other_ends_of_a_bar(ending: Bar) -> None:
    always_short = dict.fromkeys(range(9), Side.SELL)
    assert wishes_of(Told(always_short), [bar(0, 100), ending, bar(2, 100)]) == [(0, SELL), (2, SELL)]


def test_change_of_side_is_a_close_and_an_entry_on_a_later_bar() -> None:
    rule = Told({0: Side.BUY, 1: Side.SELL, 2: Side.SELL}, {1: Side.BUY})
    assert wishes_of(rule, [bar(n, 100) for n in range(4)]) == [(0, BUY), (1, CLOSE), (2, SELL)]


def test_position_without_target_runs_until_it_is_left() -> None:
    rule = Told({0: Side.BUY}, {3: Side.BUY}, target=None)
    assert wishes_of(rule, [bar(n, 100 + 50 * n) for n in range(5)]) == [(0, BUY), (3, CLOSE)]


def test_bars_up_to_activation_only_warm_up() -> None:
    strategy = BracketStrategy(Told(ALWAYS_LONG), TICK, START + 2 * QUARTER)
    assert [len(strategy.on_bar(bar(n, 100))) for n in range(4)] == [0, 0, 1, 0]


@given(st.floats(0.001, 1e6), st.floats(0, 1e7))
def test_stop_is_never_beyond_the_lowest_price_nor_at_the_entry(close: float, distance: float) -> None:
    rule = Told({0: Side.BUY})
    rule.stop_distance = lambda: distance  # type: ignore[method-assign]
    (wish,) = BracketStrategy(rule, TICK, LONG_AGO).on_bar(bar(0, round(close, 1) + 0.2))
    assert wish.stop_price is not None
    assert TICK <= wish.stop_price < wish.reference_price
    assert wish.stop_price % TICK == 0


@given(st.lists(st.tuples(prices, prices), min_size=1, max_size=60), st.integers(1, 10))
def test_donchian_channel_is_the_highest_and_lowest_of_the_last_bars(pairs: list[tuple[float, float]], n: int) -> None:
    channel = Donchian(n)
    for number, (high, low) in enumerate(pairs, 1):
        channel.update(high, low)
        window = pairs[max(0, number - n) : number]
        assert (channel.highest, channel.lowest) == (max(h for h, _ in window), min(low for _, low in window))
        assert channel.ready == (number >= n)


@given(st.lists(prices, min_size=3, max_size=80))
@example([387038.0, 387038.0, 387038.0, 775932.0, 775936.5])
def test_averages_stay_within_what_they_average(values: list[float]) -> None:
    ema, rsi, atr = Ema(3), Rsi(3), Atr(3)
    for value in values:
        ema.update(value)
        rsi.update(value)
        atr.update(value * 1.1, value, value)
    assert ema.ready
    assert min(values) * 0.999 <= ema.value <= max(values) * 1.001
    assert 0 <= rsi.value <= 100
    assert atr.value >= 0


def test_rsi_is_the_one_of_the_book() -> None:
    """Closes and values as in the worked example of StockCharts' ChartSchool on RSI, 14 periods."""
    closes = (44.34, 44.09, 44.15, 43.61, 44.33, 44.83, 45.10, 45.42, 45.84, 46.08, 45.89, 46.03, 45.61, 46.28, 46.28)
    rsi = Rsi(14)
    for close in closes:
        rsi.update(close)
    assert rsi.value == pytest.approx(70.46, abs=0.01)
    for close in (46.00, 46.03):
        rsi.update(close)
    assert rsi.value == pytest.approx(66.48, abs=0.01)


def test_atr_counts_the_gap_from_the_last_close() -> None:
    atr = Atr(2)
    atr.update(11, 10, 10)
    atr.update(21, 20, 20)  # the true range is 21 - 10
    assert atr.value == pytest.approx((1 + 11) / 2)
    atr.update(20, 20, 20)
    assert atr.value == pytest.approx(6 / 2)


def test_ema_cross_follows_the_trend_and_leaves_it() -> None:
    strategy = build(spec("ema_cross", {"rsi_ceiling": "100", "stop_atr": "90", "target_atr": "90"}))
    zigzag = [100 + 0.1 * n - (n % 3 == 0) for n in range(60)] + [106 - 0.2 * n + (n % 3 == 0) for n in range(60)]
    actions = [
        wish.action
        for n, close in enumerate(zigzag)
        for wish in strategy.on_bar(bar(n, close, high=close + 1, low=close))
    ]
    assert actions == [BUY, CLOSE, SELL]


def test_ema_cross_does_not_buy_what_has_run_too_far() -> None:
    strategy = build(spec("ema_cross", {"rsi_ceiling": "70"}))
    assert [wish for n in range(60) for wish in strategy.on_bar(bar(n, 100 + n))] == []


def test_donchian_enters_outside_the_channel_and_leaves_across_the_shorter_one() -> None:
    strategy = build(spec("donchian", {"entry_bars": "5", "exit_bars": "2", "atr_period": "2", "stop_atr": "50"}))
    closes = [100, 100, 100, 100, 100, 100, 101, 110, 111, 112, 109]
    wishes = [(n, w.action) for n, close in enumerate(closes) for w in strategy.on_bar(bar(n, close))]
    assert wishes == [(6, BUY), (10, CLOSE)]


def test_hindsight_wins_every_time_on_the_prices_it_knows() -> None:
    strategy = build(spec("hindsight", HINDSIGHT))
    ended = {"target": 0, "stop": 0}
    position: Wish | None = None
    for one in BARS:
        if position is not None:
            assert position.stop_price is not None
            assert position.take_profit_price is not None
            sign = 1 if position.action is BUY else -1
            worst, best = (one.low, one.high) if sign == 1 else (one.high, one.low)
            won, lost = sign * (best - position.take_profit_price) >= 0, sign * (worst - position.stop_price) <= 0
            ended["target"] += won
            ended["stop"] += lost
            position = None if won or lost else position
        for wish in strategy.on_bar(one):
            position = wish
    assert ended["target"] >= 10
    assert ended["stop"] == 0


def test_hindsight_wishes_nothing_on_prices_it_does_not_know() -> None:
    strategy = build(spec("hindsight", HINDSIGHT))
    assert [wish for n in range(100) for wish in strategy.on_bar(bar(n, 100 + n))] == []


@pytest.mark.parametrize("content", [b"not a number,1,2,3\n", b"1640991660000\n", b"\xff\xfe\n"])
def test_hindsight_refuses_a_damaged_recording(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bars.csv"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match="expected a"):
        build(spec("hindsight", {"data_file": str(path)}))


def test_hindsight_refuses_a_recording_that_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv.gz"
    path.write_bytes(gzip.compress(b"1,2,3,4\n" * 100_000)[:-20])
    with pytest.raises(InvalidInput, match="data_file"):
        build(spec("hindsight", {"data_file": str(path)}))


@pytest.mark.parametrize(
    ("kind", "parameters", "entries"), [("ema_cross", {}, 24), ("donchian", {}, 11), ("hindsight", HINDSIGHT, 20)]
)
def test_strategy_trades_several_times_in_three_recorded_days(
    kind: str, parameters: dict[str, str], entries: int
) -> None:
    found = list(backtest(build(spec(kind, parameters)), BARS))
    assert sum(wish.action is not CLOSE for _, wish in found) == entries
    assert all(wish.reference_price == one.close for one, wish in found)


@pytest.mark.parametrize(("kind", "parameters"), [("ema_cross", {}), ("donchian", {}), ("hindsight", HINDSIGHT)])
def test_strategy_wishes_the_same_from_the_same_bars(kind: str, parameters: dict[str, str]) -> None:
    first, second = build(spec(kind, parameters)), build(spec(kind, parameters))
    assert [first.on_bar(one) for one in BARS] == [second.on_bar(one) for one in BARS]


@pytest.mark.parametrize("kind", ["ema_cross", "donchian"])
def test_strategy_wishes_nothing_while_it_warms_up(kind: str) -> None:
    strategy = build(spec(kind))
    assert strategy.warm_up_bars == warm_up_bars(kind, {}) > 20
    steep = [bar(n, 100 * math.exp(0.2 * n)) for n in range(strategy.warm_up_bars)]
    assert [wish for one in steep for wish in strategy.on_bar(one)] == []


@pytest.mark.parametrize("kind", ["ema_cross", "donchian"])
@given(data=st.data())
def test_strategy_never_gives_two_wishes_nor_an_entry_upon_an_entry(kind: str, data: st.DataObject) -> None:
    steps = data.draw(st.lists(st.integers(-30, 30), min_size=40, max_size=120))
    small = dict.fromkeys(("entry_bars", "exit_bars", "fast_period", "rsi_period"), "3") | {"slow_period": "5"}
    strategy = build(spec(kind, {name: value for name, value in small.items() if name in KINDS[kind].parameters}))
    price = 1000
    for number, step in enumerate(steps):
        price += step
        wishes = strategy.on_bar(bar(number, price, high=price + 3, low=price - 3))
        assert len(wishes) <= 1
        for wish in wishes:
            assert (wish.stop_price is None) == (wish.action is CLOSE)


@pytest.mark.parametrize(
    ("kind", "parameters", "complaint"),
    [
        ("martingale", {}, "kind: expected one of"),
        ("donchian", {"entry_bars": "2.5"}, "parameters.entry_bars: expected a whole number"),
        ("donchian", {"entry_bars": "1"}, "parameters.entry_bars: expected 2 to 1000, found 1"),
        ("donchian", {"stop_atr": "NaN"}, "parameters.stop_atr: expected a plain decimal"),
        ("donchian", {"stop_atr": "-1"}, "parameters.stop_atr: expected 0.1 to 100"),
        ("donchian", {"stop_atr": "1e400"}, "parameters.stop_atr: expected a plain decimal"),
        ("donchian", {"fast_period": "9"}, "parameters.fast_period: expected one of"),
        ("ema_cross", {"fast_period": "21"}, "parameters.fast_period: expected less than slow_period 21"),
        ("hindsight", {}, "parameters.data_file: expected the path of a file"),
        ("hindsight", {"data_file": "  "}, "parameters.data_file: expected the path of a file"),
    ],
)
def test_parameters_out_of_bounds_are_refused_by_name(kind: str, parameters: dict[str, str], complaint: str) -> None:
    with pytest.raises(InvalidInput, match=complaint.replace(".", r"\.")):
        complete(kind, parameters)


@pytest.mark.parametrize("kind", KINDS)
def test_defaults_are_within_their_bounds(kind: str) -> None:
    given_ = HINDSIGHT if kind == "hindsight" else {}
    numbers = {name for name, one in KINDS[kind].parameters.items() if isinstance(one, Parameter)}
    assert complete(kind, given_).keys() - given_.keys() == numbers
