from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.accounts.events import FundingPaid
from patriot.kernel.money import Money
from patriot.portfolio.figure import Figure
from patriot.portfolio.trades import (
    Attribution,
    ClosedTrade,
    attribute,
    by_regime,
    by_side,
    by_strategy,
    by_symbol,
    shares,
    trade_figures,
    trade_of,
    with_funding,
)
from patriot.trading.terms import Side
from tests.portfolio.facts import ALICES, BOBS, BREAKOUT, TREND, closed, funding, group

pytestmark = pytest.mark.unit

START = datetime(2030, 1, 1, tzinfo=UTC)
END = START + timedelta(hours=100)
HOUR = timedelta(hours=1)


def trade(number: int, pnl: str, *, opened: float = 0, held: float = 1, fee: str = "0", **more: object) -> ClosedTrade:
    made = ClosedTrade(
        group_id=group(number),
        account_id=ALICES,
        strategy_id=TREND,
        symbol="BTCUSDT",
        side=Side.BUY,
        quantity=Decimal(2),
        entry_price=Decimal(100),
        exit_price=Decimal(100) + Decimal(pnl) / 2,
        realized_pnl=Decimal(pnl),
        commission=Decimal(fee),
        opened_at=START + opened * HOUR,
        closed_at=START + (opened + held) * HOUR,
    )
    return replace(made, **more)  # type: ignore[arg-type]


# result = price result - fee + funding:      30 - 1 = 29;  -10 - 1 = -11;  0.5 - 1 = -0.5 (a gain that the fee ate);
# -9 + 10 of funding - 1 = 0: neither;  20 - 1 - 4 of funding = 15
FIVE = (
    trade(1, "30", fee="1", opened=0, held=4),
    trade(2, "-10", fee="1", opened=2, held=4),
    trade(3, "0.5", fee="1", opened=10, held=2),
    trade(4, "-9", fee="1", opened=20, held=10, funding=Decimal(10)),
    trade(5, "20", fee="1", opened=40, held=5, funding=Decimal(-4)),
)


def test_figures_worked_out_by_hand() -> None:
    found = trade_figures(FIVE, START, END, Decimal(1000))
    assert (found.closed, found.winners, found.losers) == (5, 2, 2)
    assert (found.realized_pnl, found.commission, found.funding) == (Decimal("31.5"), Decimal(5), Decimal(6))
    assert found.result == Decimal("32.5")  # 31.5 - 5 + 6 = 29 - 11 - 0.5 + 0 + 15
    assert found.gross_profit == Decimal("50.5")  # 30 + 0.5 + 20
    assert found.profit_factor.value == Decimal("3.826086956521739130")  # 44 / 11.5
    assert found.win_rate.value == Decimal("0.4")
    assert found.expectancy.value == Decimal("6.5")  # 32.5 / 5
    assert found.average_win.value == 22  # (29 + 15) / 2
    assert found.average_loss.value == Decimal("-5.75")  # (-11 - 0.5) / 2
    assert found.average_hold == 5 * HOUR  # (4 + 4 + 2 + 10 + 5) / 5
    assert found.exposure.value == Decimal("0.23")  # 0-6, 10-12, 20-30, 40-45: 6 + 2 + 10 + 5 of 100 hours
    # 2 x (100 + exit) each: exits 115, 95, 100.25, 95.5, 110: 2 x 500 + 2 x 515.75 = 2031.5
    assert found.turnover.value == Decimal("2.0315")
    assert found.fee_share.value == Decimal("0.099009900990099010")  # 5 / 50.5
    assert found.funding_share.value == Decimal("-0.118811881188118812")  # -6 / 50.5: received
    assert (found.longest_win_streak, found.longest_loss_streak, found.loss_streak) == (1, 2, 0)


def test_streaks_follow_the_closing_and_a_zero_ends_them() -> None:
    def streaks(*results: str) -> tuple[int, int, int]:
        found = trade_figures([trade(n, result, opened=n) for n, result in enumerate(results)], START, END)
        return found.longest_win_streak, found.longest_loss_streak, found.loss_streak

    assert streaks("1", "1", "-1", "1", "-1", "-1", "-1") == (2, 3, 3)
    assert streaks("-1", "0", "-1") == (0, 1, 1)
    assert streaks("-1", "-1", "0") == (0, 2, 0)
    assert streaks("1", "1", "1") == (3, 0, 0)


def test_nothing_closed_says_what_is_missing() -> None:
    found = trade_figures([], START, END)
    assert found.closed == found.result == 0
    assert found.average_hold is None
    assert found.win_rate == found.expectancy == Figure(None, "a closed position")
    assert found.profit_factor == found.average_loss == Figure(None, "a losing position")
    assert found.average_win == Figure(None, "a winning position")
    assert found.fee_share == found.funding_share == Figure(None, "a gross profit")
    assert found.turnover == Figure(None, "an average equity above zero")
    assert found.average_slippage_bps == Figure(None, "a position that a signal opened")
    assert found.exposure == Figure(Decimal(0))
    assert trade_figures([], START, START).exposure == Figure(None, "a period that lasts")


def test_exposure_counts_only_what_is_inside_the_period() -> None:
    held = [trade(1, "1", opened=-10, held=15), trade(2, "1", opened=-5, held=7)]
    assert trade_figures(held, START, END).exposure.value == Decimal("0.05")


def test_slippage_is_positive_when_worse_for_either_side() -> None:
    # bought at 100 instead of 99.5: 0.5 / 99.5 x 10,000 = 50.25 bps worse; sold at 100 instead of 99.5: as much better
    bought = trade(1, "0", reference_price=Decimal("99.5"))
    sold = replace(bought, group_id=group(2), side=Side.SELL)
    assert bought.slippage_bps == Decimal("50.251256281407035176")
    assert sold.slippage_bps == Decimal("-50.251256281407035176")
    assert trade(3, "0").slippage_bps is None
    better = replace(bought, group_id=group(4), reference_price=Decimal(100))
    found = trade_figures([bought, better, trade(3, "0")], START, END)
    assert found.average_slippage_bps.value == Decimal("25.125628140703517588")  # of the two that a signal opened


def test_attribution_by_strategy_symbol_side_and_regime() -> None:
    trades = [
        trade(1, "30", fee="1"),
        trade(2, "-10", symbol="ETHUSDT", side=Side.SELL, strategy_id=BREAKOUT, opened=30, funding=Decimal(2)),
        trade(3, "5", strategy_id=None, opened=23, held=20),
    ]

    def results(name_of: Callable[[ClosedTrade], str]) -> dict[str, Decimal]:
        return {line.name: line.result for line in attribute(trades, name_of)}

    assert results(by_strategy) == {str(TREND): 29, str(BREAKOUT): -8, "NONE": 5}
    assert results(by_symbol) == {"BTCUSDT": 34, "ETHUSDT": -8}
    assert results(by_side) == {"BUY": 34, "SELL": -8}
    assert results(by_regime({date(2030, 1, 1): "TREND"})) == {"TREND": 34, "UNKNOWN": -8}  # of the day it was opened
    assert attribute(trades, by_symbol)[0] == Attribution(
        "BTCUSDT", 2, 2, Decimal(35), Decimal(1), Decimal(0), Decimal(34)
    )
    assert attribute([], by_symbol) == ()


def test_closed_position_takes_its_commissions_in_the_quote_asset() -> None:
    # 0.001 BNB at 600 and 0.1 USDT
    made = trade_of(closed(1), Side.BUY, "USDT", {"BNB": Decimal(600)}, Decimal(100))
    assert made is not None
    assert (made.commission, made.realized_pnl, made.result) == (Decimal("0.7"), Decimal(20), Decimal("19.3"))
    assert (made.side, made.slippage_bps, made.funding) == (Side.BUY, Decimal(0), Decimal(0))
    with pytest.raises(KeyError):
        trade_of(closed(1), Side.BUY, "USDT", {})


@pytest.mark.parametrize("absent", ["entry_price", "exit_price", "opened_at"])
def test_position_that_was_never_held_is_no_trade(absent: str) -> None:
    never = replace(closed(1), commissions=(Money(Decimal(0), "USDT"),), **{absent: None})  # type: ignore[arg-type]
    assert trade_of(never, Side.BUY, "USDT", {}) is None


# ---- funding


def paid(hours: float, amount: str, record: str = "f-1", **more: str) -> FundingPaid:
    return replace(funding(amount, record, at=START + hours * HOUR), **more)  # type: ignore[arg-type]


def test_funding_belongs_to_what_was_held_and_once_where_one_position_follows_another() -> None:
    first, second = trade(1, "5", opened=0, held=8), trade(2, "5", opened=8, held=8)
    made, left = with_funding([second, first], [paid(8, "-2"), paid(16, "-3", "f-2"), paid(0, "-7", "f-3")], "USDT")
    assert [item.funding for item in made] == [-2, -3]
    assert [payment.record_id for payment in left] == ["f-3"]  # at the very moment of the opening: nothing was held


def test_funding_of_another_symbol_account_or_asset_is_left() -> None:
    held = trade(1, "5", held=8)
    others = [paid(4, "1", "s", symbol="ETHUSDT"), paid(4, "1", "a", asset="BNB"),
              replace(funding("1", "b", account=BOBS), funding_time=START + 4 * HOUR)]  # fmt: skip
    made, left = with_funding([held], others, "USDT")
    assert made == [held]
    assert left == others


def test_positions_held_together_share_funding_by_quantity() -> None:
    held = [trade(1, "0", held=8), trade(2, "0", held=9, quantity=Decimal(1))]
    made, left = with_funding(held, [paid(8, "-1")], "USDT")
    assert [item.funding for item in made] == [Decimal("-0.666666666666666667"), Decimal("-0.333333333333333333")]
    assert left == []


# ---- properties

AMOUNTS = st.decimals(-1000, 1000, places=8)


@given(st.lists(st.tuples(AMOUNTS, AMOUNTS), max_size=12), st.integers(0, 10**6))
def test_order_in_which_positions_arrive_changes_nothing(money: list[tuple[Decimal, Decimal]], seed: int) -> None:
    # all of them close in one of three moments
    trades = [trade(n, str(pnl), opened=n % 3, funding=paid_in) for n, (pnl, paid_in) in enumerate(money)]
    shuffled = trades.copy()
    Random(seed).shuffle(shuffled)
    assert trade_figures(shuffled, START, END) == trade_figures(trades, START, END)
    assert attribute(shuffled, by_regime({})) == attribute(trades, by_regime({}))


@given(st.lists(st.tuples(AMOUNTS, st.sampled_from(["BTCUSDT", "ETHUSDT"])), max_size=12))
def test_attribution_adds_up_to_the_whole(money: list[tuple[Decimal, str]]) -> None:
    trades = [trade(n, str(pnl), symbol=symbol, fee="0.3") for n, (pnl, symbol) in enumerate(money)]
    whole = trade_figures(trades, START, END)
    lines = attribute(trades, by_symbol)
    assert sum(line.result for line in lines) == whole.result
    assert sum(line.winners for line in lines) == whole.winners


@given(AMOUNTS, st.lists(st.decimals("0.001", 1000, places=3), min_size=1, max_size=8))
def test_shares_add_up_and_none_is_far_from_its_part(amount: Decimal, quantities: list[Decimal]) -> None:
    parts = shares(amount, quantities)
    assert sum(parts) == amount
    for part, quantity in zip(parts, quantities, strict=True):
        assert abs(part - amount * quantity / sum(quantities)) < Decimal("1E-17")
