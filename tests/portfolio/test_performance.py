from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.portfolio.drawdowns import Drawdown, Value, deepest, drawdown_curve, drawdowns
from patriot.portfolio.figure import Figure
from patriot.portfolio.performance import LEAST_DAYS, MonthReturn, index_of, performance
from patriot.portfolio.returns import DailyReturn, Point, daily_returns, nav_series

pytestmark = pytest.mark.unit

FIRST = date(2030, 1, 1)
START = datetime(2030, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def days(*fractions: str, first: date = FIRST) -> list[DailyReturn]:
    return [DailyReturn(first + number * DAY, Decimal(fraction)) for number, fraction in enumerate(fractions)]


def values(*amounts: str) -> list[Value]:
    return [Value(START + number * DAY, Decimal(amount)) for number, amount in enumerate(amounts)]


# 20 days of +2 % and 10 of -1 %, the losses at the end. By hand:
#   mean = (20 x 0.02 - 10 x 0.01) / 30 = 0.01
#   squares: 20 x 0.01^2 + 10 x 0.02^2 = 0.006; sample variance = 0.006 / 29; sd = 0.014383989...
#   downside: sqrt(10 x 0.0001 / 30) = 0.005773502...
#   omega = 0.4 / 0.1 = 4; drawdown = 0.99^10 - 1; growth = 1.02^20 x 0.99^10
MONTH = days(*["0.02"] * 20, *["-0.01"] * 10)
YEARLY = sqrt(365)


def test_ratios_of_a_month_worked_out_by_hand() -> None:
    figures = performance(MONTH)
    sd, growth = sqrt(0.006 / 29), 1.02**20 * 0.99**10
    assert figures.volatility.value == pytest.approx(sd * YEARLY, abs=1e-12)
    assert figures.sharpe.value == pytest.approx(0.01 / sd * YEARLY, abs=1e-10)
    assert figures.sortino.value == pytest.approx(0.01 / sqrt(0.001 / 30) * YEARLY, abs=1e-10)
    assert figures.omega.value == pytest.approx(4, abs=1e-12)
    assert figures.annual_return.value == pytest.approx(growth ** (365 / 30) - 1, rel=1e-12)
    assert figures.calmar.value == pytest.approx((growth ** (365 / 30) - 1) / (1 - 0.99**10), rel=1e-12)
    assert float(figures.total_return) == pytest.approx(growth - 1, abs=1e-15)
    assert figures.days == 30
    assert figures.best_day == MONTH[0]
    assert figures.worst_day == MONTH[20]


def test_annualized_once_by_the_root_of_365() -> None:
    # 0.01 / sqrt(0.006 / 29) x sqrt(365) = sqrt(29 x 365 / 60); scaling both sides by 365 would leave sqrt(29 / 60)
    assert performance(MONTH).sharpe.value == pytest.approx(sqrt(29 * 365 / 60), abs=1e-10)


def test_risk_free_rate_per_year_is_taken_off_each_day() -> None:
    # 3.65 a year is 0.01 a day: the mean excess is 0; the excesses are 20 x 0.01 above and 10 x 0.02 below
    figures = performance(MONTH, risk_free=3.65)
    assert figures.sharpe.value == pytest.approx(0, abs=1e-12)
    assert figures.sortino.value == pytest.approx(0, abs=1e-12)
    assert figures.omega.value == pytest.approx(1, abs=1e-12)


def test_eight_days_have_a_return_and_no_ratio() -> None:
    figures = performance(days(*["0.01"] * 7, "-0.02"))
    assert figures.days == 8
    assert float(figures.total_return) == pytest.approx(1.01**7 * 0.98 - 1)
    for figure in (figures.sharpe, figures.sortino, figures.calmar, figures.omega, figures.volatility,
                   figures.annual_return):  # fmt: skip
        assert figure == Figure(None, "22 more daily returns: 30 are needed, 8 are there", 22)
    assert figures.max_drawdown is not None


def test_one_day_less_than_needed_is_too_little() -> None:
    assert performance(MONTH[1:]).sharpe.days_missing == 1
    assert performance(MONTH).sharpe.value is not None
    assert len(MONTH) == LEAST_DAYS


def test_no_day_at_all_is_no_figure() -> None:
    figures = performance([])
    assert figures.days == figures.total_return == 0
    assert [figures.max_drawdown, figures.best_day, figures.worst_day] == [None] * 3
    assert (figures.months, figures.drawdowns) == ((), ())
    assert figures.sharpe.days_missing == 30


def test_nothing_to_divide_by_is_said_and_never_infinite() -> None:
    flat, rising = performance(days(*["0"] * 30)), performance(days(*["0.01"] * 30))
    assert flat.sharpe == rising.sharpe == Figure(None, "a day that differs from the others")
    assert flat.sortino == flat.omega == rising.sortino == rising.omega == Figure(None, "a day below the target")
    assert flat.calmar == rising.calmar == Figure(None, "a drawdown")
    assert flat.volatility.value == rising.volatility.value == 0


def test_lost_account_has_no_growth_per_year() -> None:
    figures = performance(days(*["0.01"] * 29, "-1"))
    assert figures.annual_return == figures.calmar == Figure(None, "something left: the account was lost")
    assert figures.max_drawdown is not None
    assert figures.max_drawdown.fraction == -1
    assert figures.sharpe.value is not None


def test_growth_beyond_numbers_is_missing() -> None:
    assert performance(days(*["1E20"] * 30)).annual_return.missing.startswith("a longer period")


def test_carried_days_are_counted() -> None:
    assert performance([*days("0.1"), DailyReturn(FIRST + DAY, Decimal(0), carried=True)]).carried_days == 1


def test_monthly_table_links_the_days_of_each_month() -> None:
    # 1.1 x 1.1 = 1.21 on the last two days of January; 0.9 x 1.2 = 1.08 on the first two of February
    table = performance(days("0.1", "0.1", "-0.1", "0.2", first=date(2030, 1, 30))).months
    assert table == (MonthReturn("2030-01", Decimal("0.21"), 2), MonthReturn("2030-02", Decimal("0.08"), 2))


def test_index_starts_with_1_at_the_beginning_of_the_first_day() -> None:
    assert index_of(days("0.1", "-0.5")) == tuple(values("1", "1.1", "0.55"))


# ---- drawdowns


def test_curve_and_durations_worked_out_by_hand() -> None:
    # peak 110 on day 1; 88 = -20 % on day 3; back at 110 on day 5; peak 120 on day 6; 90 = -25 % on day 7, not back
    series = values("100", "110", "99", "88", "104.5", "110", "120", "90", "96")
    assert [value.value for value in drawdown_curve(series)] == [
        Decimal(text) for text in ("0", "0", "-0.1", "-0.2", "-0.05", "0", "0", "-0.25", "-0.2")
    ]
    first, second = drawdowns(series)
    assert first == Drawdown(Decimal("-0.2"), START + DAY, START + 3 * DAY, START + 5 * DAY)
    assert second == Drawdown(Decimal("-0.25"), START + 6 * DAY, START + 7 * DAY, None)
    assert (first.duration(START + 8 * DAY), second.duration(START + 8 * DAY)) == (4 * DAY, 2 * DAY)
    assert deepest((first, second)) == second


def test_drawdown_begins_at_the_last_moment_at_the_peak() -> None:
    assert drawdowns(values("100", "100", "90", "100"))[0].start == START + DAY


def test_trough_is_the_first_of_two_equal_lows() -> None:
    assert drawdowns(values("100", "90", "95", "90"))[0].trough == START + DAY


def test_rising_series_has_no_drawdown() -> None:
    assert drawdowns(values("1", "2", "2")) == drawdowns([]) == ()
    assert deepest(()) is None


def test_older_of_two_equal_drawdowns_is_the_maximum() -> None:
    found = drawdowns(values("100", "50", "100", "50"))
    assert deepest(found) == found[0]


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=30), st.integers(2, 1000))
def test_scaling_a_series_scales_no_drawdown(amounts: list[int], factor: int) -> None:
    plain = values(*(str(amount) for amount in amounts))
    scaled = values(*(str(amount * factor) for amount in amounts))
    assert drawdowns(plain) == drawdowns(scaled)
    assert len(drawdown_curve(plain)) == len(amounts)
    assert all(-1 < value.value <= 0 for value in drawdown_curve(plain))


@given(st.lists(st.integers(800, 1250), min_size=LEAST_DAYS, max_size=40), st.integers(2, 1000))
def test_scaling_equity_scales_no_figure(steps: list[int], factor: int) -> None:
    def figures(scale: int) -> object:
        points, equity = [Point(START, Decimal(1000) * scale)], Decimal(1000)
        for number, step in enumerate(steps, 1):
            equity = (equity * step / 1000).quantize(Decimal("0.00000001")) + 1
            points.append(Point(START + number * DAY, equity * scale))
        return performance(daily_returns(nav_series(points)))

    assert figures(1) == figures(factor)


@given(st.lists(st.integers(-50, 60), min_size=1, max_size=60))
def test_months_linked_are_the_whole(steps: Sequence[int]) -> None:
    found = performance(days(*(str(Decimal(step) / 100) for step in steps)))
    growth = 1.0
    for month in found.months:
        growth *= 1 + float(month.fraction)
    assert growth - 1 == pytest.approx(float(found.total_return), rel=1e-9, abs=1e-9)
    assert sum(month.days for month in found.months) == found.days
