from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.portfolio.money_weighted import NO_SINGLE_RATE, money_weighted_return, single_log_rate
from patriot.portfolio.returns import Point, nav_series, period_return

pytestmark = pytest.mark.unit

START = datetime(2030, 1, 1, tzinfo=UTC)
YEAR = timedelta(days=365)


def rates(*points: tuple[float, str, str]) -> tuple[float | None, float | None]:
    navs = nav_series(Point(START + years * YEAR, Decimal(equity), Decimal(flow)) for years, equity, flow in points)
    found = money_weighted_return(navs, START, START + 10 * YEAR)
    return found.over_period.value, found.per_year.value


def test_without_flows_it_is_the_growth() -> None:
    # 100 -> 121 in two years: 21 % over the period, sqrt(1.21) - 1 = 10 % a year
    over_period, per_year = rates((0, "100", "0"), (2, "121", "0"))
    assert over_period == pytest.approx(0.21, abs=1e-12)
    assert per_year == pytest.approx(0.10, abs=1e-12)


def test_money_that_came_late_and_lost_weighs_more_than_in_the_time_weighted_return() -> None:
    # 100 -> 120, then 880 more, 1000 -> 900. Time-weighted: 1.2 x 0.9 - 1 = 8 %.
    # Money-weighted over two years: 100 x^2 + 880 x = 900, x = (-880 + sqrt(880^2 + 4 * 100 * 900)) / 200 = 0.925...
    points = (0.0, "100", "0"), (1.0, "1000", "880"), (2.0, "900", "0")
    _, per_year = rates(*points)
    assert per_year == pytest.approx((-880 + (880**2 + 360_000) ** 0.5) / 200 - 1, abs=1e-12)
    navs = nav_series(Point(START + years * YEAR, Decimal(equity), Decimal(flow)) for years, equity, flow in points)
    weighted = period_return(navs, START, START + 2 * YEAR)
    assert weighted is not None
    assert weighted.fraction == Decimal("0.08")


def test_flow_weighs_by_the_time_it_was_there() -> None:
    # 100 for a year and 100 more for half of it: 100 x^2 + 100 x = 231 at x^2 = 1.21, the growth of a year
    assert rates((0, "100", "0"), (0.5, "210", "100"), (1, "231", "0"))[1] == pytest.approx(0.21, abs=1e-12)
    # 100 for a year and 100 more for three quarters of it, both at 16 % a year
    final = 100 * 1.16 + 100 * 1.16**0.75
    assert rates((0, "100", "0"), (0.25, "205", "100"), (1, str(final), "0"))[1] == pytest.approx(0.16, abs=1e-12)


def test_money_paid_in_after_all_was_taken_out_is_weighed_without_the_pause() -> None:
    # 100 -> 110, all out at half a year; 50 in at three quarters, 55 at the end: 100 y^4 - 110 y^2 + 50 y = 55
    over_period, _ = rates((0, "100", "0"), (0.5, "0", "-110"), (0.75, "50", "50"), (1, "55", "0"))
    assert over_period is not None
    y = (1 + over_period) ** 0.25
    assert 100 * y**4 - 110 * y**2 + 50 * y == pytest.approx(55, abs=1e-9)


def test_agrees_with_the_worked_example_of_xirr() -> None:
    # Microsoft's page of XIRR: -10000 on 2008-01-01, 2750 on 03-01, 4250 on 10-30, 3250 on 2009-02-15, 2750 on 04-01:
    # 37.3362535 %. In days from the first: 60, 303, 411, 456; the last payment is what is left at the end.
    cash = [(0.0, 10_000.0), (60 / 456, -2_750.0), (303 / 456, -4_250.0), (411 / 456, -3_250.0)]
    log_rate = single_log_rate(cash, 2_750.0)
    assert log_rate is not None
    assert exp(log_rate * 365 / 456) - 1 == pytest.approx(0.373362535, abs=1e-8)


@pytest.mark.parametrize(
    ("cash", "final"),
    [
        # 100 x^2 - 230 x + 132 = 0 at x = 1.1 and x = 1.2
        ([(0.0, 100.0), (0.5, -230.0), (1.0, 132.0)], 0.0),
        # 1000 (x - 1.1)(x - 1.2)(x - 1.3) = 1000 x^3 - 3600 x^2 + 4310 x - 1716: three rates
        ([(0.0, 1000.0), (1 / 3, -3600.0), (2 / 3, 4310.0)], 1716.0),
        ([(0.0, 100.0)], 0.0),  # all lost: no rate above -100 %
        ([(0.0, 100.0)], -5.0),
        ([], 5.0),
    ],
)
def test_no_rate_or_several_is_none(cash: list[tuple[float, float]], final: float) -> None:
    assert single_log_rate(cash, final) is None


def test_what_is_missing_is_said() -> None:
    navs = nav_series([Point(START, Decimal(100)), Point(START + YEAR, Decimal(0))])
    lost = money_weighted_return(navs, START, START + YEAR)
    assert lost.over_period.value is lost.per_year.value is None
    assert lost.over_period.missing == lost.per_year.missing == NO_SINGLE_RATE
    assert money_weighted_return(navs, START, START).per_year.missing == "a second sample"
    assert money_weighted_return((), START, START).over_period.missing == "a second sample"


def test_rate_per_year_beyond_numbers_is_missing_and_the_period_is_not() -> None:
    # ten times as much within an hour is e^(2.3 * 8760) a year
    over_period, per_year = rates((0, "100", "0"), (1 / 8760, "1000", "0"))
    assert over_period == pytest.approx(9, abs=1e-9)
    assert per_year is None


@given(st.lists(st.tuples(st.floats(0.01, 0.99), st.floats(0, 1000)), max_size=8), st.floats(0.2, 5))
def test_rate_that_made_the_balance_is_found_again(deposits: list[tuple[float, float]], growth: float) -> None:
    cash = [(0.0, 100.0), *deposits]
    final = sum(amount * growth ** (1 - when) for when, amount in cash)
    log_rate = single_log_rate(cash, final)
    assert log_rate is not None
    assert exp(log_rate) == pytest.approx(growth, rel=1e-9)
