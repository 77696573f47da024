"""The seeded model: it depends on its seed alone, jumps where it says so, falls silent, and remembers one minute."""

import gc
import sys
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.kernel.errors import InvalidInput
from patriot.sim.exchange import VenueName
from patriot.sim.listing import listed
from patriot.sim.prices.feed import Minute
from patriot.sim.prices.model import ModelFeed, ModelSource, _known, model_is_fine, model_start_ms

pytestmark = pytest.mark.integration

LONG = 20_000  # minutes: several jumps and silences


def minutes(count: int, seed: int = 7, symbol: str = "BTCUSDT") -> list[Minute]:
    source = ModelSource(_known(symbol), seed, 0)
    return [source.minute(index) for index in range(count)]


@given(seed=st.integers(0, 50))
def test_bars_are_whole_and_follow_each_other_except_at_a_jump(seed: int) -> None:
    made = minutes(300, seed)

    for earlier, later in pairwise(made):
        bar = later.bar
        assert bar.open_ms == earlier.bar.open_ms + 60_000
        assert bar.open == earlier.bar.close or later.ticks[0][1].jump
        assert Decimal(0) < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
        assert bar.close % Decimal("0.1") == 0


def test_prices_depend_on_seed_and_symbol_alone() -> None:
    first, again, other = ModelFeed(7), ModelFeed(7), ModelFeed(8)
    ahead = [first.steps(index) for index in range(100)]

    assert again.steps(99) == ahead[99], "asked for at once"
    assert first.steps(50) == ahead[50], "asked for once more"
    assert other.steps(99) != ahead[99]
    assert first.bar("BTCUSDT", 99) != first.bar("ETHUSDT", 99)


def test_prints_of_a_minute_add_up_to_its_bar() -> None:
    for fine in (False, True):
        feed = ModelFeed(7, symbols=["ETHUSDT"], fine=fine)
        for index in range(200):
            moves = [move for step in feed.steps(index) for move in step.moves]
            bar = feed.bar("ETHUSDT", index)
            bought = [move.quantity for move in moves if not move.buyer_is_maker]
            assert bar.volume == sum((move.quantity or Decimal(0) for move in moves), Decimal(0))
            assert bar.taker_buy_volume == sum((quantity or Decimal(0) for quantity in bought), Decimal(0))
            assert bar.trades == len(moves)


def test_fine_steps_go_through_the_same_bars_every_five_seconds() -> None:
    coarse, fine = ModelFeed(7), ModelFeed(7, fine=True)
    for index in range(200):
        prices = [move.last for step in fine.steps(index) for move in step.moves if move.symbol == "BTCUSDT"]
        known, bar = coarse.bar("BTCUSDT", index), fine.bar("BTCUSDT", index)
        assert (bar.open, bar.high, bar.low, bar.close) == (known.open, known.high, known.low, known.close)
        if prices:
            assert (prices[0], max(prices), min(prices), prices[-1]) == (bar.open, bar.high, bar.low, bar.close)
        assert len(prices) in (0, 13)
    assert model_is_fine(fine.identity)
    assert not model_is_fine(coarse.identity)


def test_model_jumps_and_falls_silent_now_and_then() -> None:
    made = minutes(LONG)
    jumps = [now for before, now in pairwise(made) if now.ticks and now.ticks[0][1].jump]
    silent = [minute for minute in made if not minute.ticks]

    assert 3 <= len(jumps) <= 40
    assert silent
    assert all(minute.bar.volume == 0 and minute.bar.open == minute.bar.close for minute in silent)
    for before, now in pairwise(made):
        if now.ticks and now.ticks[0][1].jump:
            assert Decimal("0.004") < abs(now.bar.open / before.bar.close - 1) < Decimal("0.031")
        if now.ticks and not before.ticks:
            assert now.ticks[0][1].jump, "what happened in the silence nobody saw"


def test_mark_follows_the_index_and_both_stay_near_the_last_price() -> None:
    moves = [move for minute in minutes(LONG // 4) for _, move in minute.ticks]
    basis = [abs((move.index or Decimal(0)) / move.last - 1) for move in moves]
    premium = [abs((move.mark or Decimal(0)) / (move.index or move.last) - 1) for move in moves]

    assert Decimal("0.00001") < max(basis) < Decimal("0.002")
    assert Decimal(0) < max(premium) < max(basis), "smoothed"


def test_hundred_symbols_have_prices_on_their_grids() -> None:
    names = [instrument.symbol for instrument in listed(VenueName.BINANCE)]
    feed = ModelFeed(7, symbols=names)

    told = {move.symbol: move for index in range(3) for step in feed.steps(index) for move in step.moves}
    assert len(told) == 100
    for venue in VenueName:
        for instrument in listed(venue):
            move = told[instrument.symbol]
            assert move.last % instrument.tick_size == 0
            assert instrument.min_price < move.last < instrument.max_price


def test_memory_does_not_grow_with_the_minutes_played() -> None:
    source = ModelSource(_known("BTCUSDT"), 7, 0)

    def size(index: int) -> int:
        source.minute(index)
        gc.collect()
        return sum(sys.getsizeof(one) for one in gc.get_referents(source))

    assert size(5_000) <= size(10) + 1_000


def test_unlisted_symbol_is_refused_with_the_list() -> None:
    with pytest.raises(InvalidInput, match=r"BTCUSDT, ETHUSDT, SOLUSDT, .* found 'NOPEUSDT'"):
        ModelFeed(7, symbols=["NOPEUSDT"])


def test_identity_tells_where_the_model_began() -> None:
    assert model_start_ms(ModelFeed(7, 1_706_572_860_000).identity) == 1_706_572_860_000
    assert model_start_ms("file:abc") is None
