from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import accumulate
from operator import mul

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.accounts.events import EquitySampled, SampleReason
from patriot.portfolio.returns import (
    DailyReturn,
    Flow,
    NavPoint,
    Point,
    Sample,
    daily_returns,
    facts_of,
    nav_series,
    period_return,
    points_of,
)
from tests.portfolio.facts import ALICES, OWNER, funding, sampled, transfer

pytestmark = pytest.mark.unit

START = datetime(2030, 1, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def point(days: float, equity: str, flow: str = "0") -> Point:
    return Point(START + days * DAY, Decimal(equity), Decimal(flow))


def navs(*points: Point) -> list[Decimal]:
    return [nav.nav for nav in nav_series(points)]


def fractions(*points: Point) -> list[tuple[int, Decimal]]:
    return [(day.day.day, day.fraction) for day in daily_returns(nav_series(points))]


def test_gain_moves_the_nav_and_a_deposit_does_not() -> None:
    # 1000 units at 1. Gain 10 %: 1100 / 1000 = 1.1. In: 550, which buys 550 / 1.1 = 500 units; 1650 / 1500 = 1.1.
    # Loss to 1500: 1500 / 1500 = 1. Out: 300, 300 units; 1200 / 1200 = 1. Gain to 1320: 1320 / 1200 = 1.1.
    series = nav_series(
        [point(0, "1000"), point(1, "1100"), point(2, "1650", "550"), point(3, "1500"), point(4, "1200", "-300"),
         point(5, "1320")]
    )  # fmt: skip
    assert [nav.nav for nav in series] == [Decimal(text) for text in ("1", "1.1", "1.1", "1", "1", "1.1")]
    assert {nav.series for nav in series} == {1}
    assert [nav.net_flow for nav in series] == [1000, 0, 550, 0, -300, 0]


def test_flow_and_gain_in_one_sample_are_told_apart() -> None:
    # 1000 became 1050 before 500 came in: 1550 - 500 = 1050; 1.05
    assert navs(point(0, "1000"), point(1, "1550", "500")) == [1, Decimal("1.05")]


def test_nav_is_rounded_once_and_units_never() -> None:
    # 1 / 3 is no decimal: units 3, then 6 after a deposit that doubles them at 1/3, then all is back at NAV 1
    halves = navs(point(0, "3"), point(1, "1"), point(2, "2", "1"), point(3, "6"))
    assert halves == [1, Decimal("0.333333333333333333"), Decimal("0.333333333333333333"), 1]


def test_series_begins_again_when_all_was_taken_out() -> None:
    series = nav_series([point(0, "100"), point(1, "0", "-120"), point(5, "50"), point(6, "55")])
    assert [(nav.series, nav.nav, nav.invested) for nav in series] == [
        (1, 1, True),
        (1, Decimal("1.2"), False),
        (2, 1, True),
        (2, Decimal("1.1"), True),
    ]
    # 1.2 x 1.1 = 1.32 over both; nothing between them
    whole = period_return(series, START, START + 6 * DAY)
    assert whole is not None
    assert whole.fraction == Decimal("0.32")
    assert fractions(point(0, "100"), point(1, "0", "-120"), point(5, "50"), point(6, "55")) == [
        (1, Decimal("0.2")),
        (6, Decimal("0.1")),
    ]


def test_series_begins_again_when_money_meets_worthless_units() -> None:
    # 100 became 0.00001 (NAV 1E-7, below 1E-6); 50 paid in belong to nobody's old loss
    series = nav_series([point(0, "100"), point(1, "0.00001"), point(2, "50.00001", "50"), point(3, "60.000012")])
    assert [(nav.series, nav.nav, nav.equity) for nav in series] == [
        (1, 1, 100),
        (1, Decimal("1E-7"), Decimal("0.00001")),
        (1, Decimal("1E-7"), Decimal("0.00001")),
        (2, 1, Decimal("50.00001")),
        (2, Decimal("1.2"), Decimal("60.000012")),
    ]
    assert series[3].net_flow == 50
    whole = period_return(series, START, START + 3 * DAY)
    assert whole is not None
    assert whole.fraction == Decimal("1E-7") * Decimal("1.2") - 1


def test_debt_has_a_nav_below_zero_and_no_return_from_there() -> None:
    series = nav_series([point(0, "100"), point(1, "-5"), point(2, "20"), point(3, "22")])
    assert [nav.nav for nav in series] == [1, Decimal("-0.05"), Decimal("0.2"), Decimal("0.22")]
    assert [(day.day.day, day.fraction) for day in daily_returns(series)] == [
        (1, Decimal("-1.05")),
        (3, Decimal("0.1")),
    ]
    out_of_debt = period_return(series, START + DAY, START + 3 * DAY)
    assert out_of_debt is not None
    assert out_of_debt.fraction is None


def test_nothing_ever_held_has_no_nav() -> None:
    assert nav_series([point(0, "0"), point(1, "-3")]) == ()
    assert nav_series([]) == ()
    assert daily_returns(()) == ()
    assert period_return((), START, START + DAY) is None


def test_first_capital_after_nothing_opens_the_series() -> None:
    series = nav_series([point(0, "0"), point(1, "100", "100")])
    assert series == (NavPoint(START + DAY, Decimal(100), Decimal(100), Decimal(1), 1, invested=True),)


def test_deposit_on_a_flat_day_returns_nothing_and_shows_as_flow() -> None:
    series = nav_series([point(0, "1000"), point(0.5, "1500", "500"), point(1, "1500")])
    day = period_return(series, START, START + DAY)
    assert day is not None
    assert (day.fraction, day.net_flow) == (Decimal(0), Decimal(500))


def test_deposit_that_doubles_equity_on_a_flat_day_makes_it_a_day_of_zero() -> None:
    assert fractions(point(0, "1000"), point(0.5, "2000", "1000"), point(1, "2000")) == [(1, Decimal(0))]


def test_period_before_the_first_sample_starts_there_and_says_so() -> None:
    series = nav_series([point(78, "100"), point(90, "112")])
    asked = period_return(series, START, START + 90 * DAY)
    assert asked is not None
    assert (asked.since, asked.until, asked.fraction) == (START + 78 * DAY, START + 90 * DAY, Decimal("0.12"))
    assert asked.net_flow == 0
    assert period_return(series, START, START + 77 * DAY) is None


def test_period_starts_from_what_held_then_and_leaves_out_its_flow() -> None:
    series = nav_series([point(0, "100"), point(1, "210", "100"), point(3, "231")])
    later = period_return(series, START + 2 * DAY, START + 3 * DAY)
    assert later is not None
    assert (later.since, later.fraction, later.net_flow) == (START + 2 * DAY, Decimal("0.1"), Decimal(0))


def test_period_after_the_last_sample_earned_nothing_that_is_known() -> None:
    asked = period_return(nav_series([point(0, "100"), point(1, "110")]), START + 2 * DAY, START + 3 * DAY)
    assert asked is not None
    assert (asked.since, asked.until, asked.fraction) == (START + 2 * DAY, START + 2 * DAY, Decimal(0))


def test_sample_of_midnight_closes_the_day_before() -> None:
    assert fractions(point(0, "100"), point(1, "110"), point(1.5, "200"), point(2, "99")) == [
        (1, Decimal("0.1")),
        (2, Decimal("-0.1")),
    ]


def test_first_day_begins_with_the_first_sample_and_the_last_ends_with_the_last() -> None:
    assert fractions(point(0.5, "100"), point(0.75, "105"), point(1.5, "126")) == [
        (1, Decimal("0.05")),
        (2, Decimal("0.2")),
    ]
    assert fractions(point(0.5, "100")) == []


def test_day_without_a_sample_carries_and_says_so() -> None:
    series = nav_series([point(0, "100"), point(1, "110"), point(3.5, "121")])
    assert daily_returns(series) == (
        DailyReturn(date(2030, 1, 1), Decimal("0.1")),
        DailyReturn(date(2030, 1, 2), Decimal(0), carried=True),
        DailyReturn(date(2030, 1, 3), Decimal(0), carried=True),
        DailyReturn(date(2030, 1, 4), Decimal("0.1")),
    )


def test_day_in_other_time_zones_is_the_utc_day() -> None:
    east = Point(datetime.fromisoformat("2030-01-02T02:00:00+09:00"), Decimal(100))  # 17:00 UTC of the day before
    assert fractions(east, point(1, "110")) == [(1, Decimal("0.1"))]


# ---- which sample contains a flow


def sample(version: int, hours: float, equity: str = "0", *, settles: bool = False) -> Sample:
    return Sample(version, START + hours * HOUR, Decimal(equity), settles)


def test_flow_is_settled_by_the_sample_taken_for_it_and_the_doubtful_between_is_left_out() -> None:
    points = points_of(
        [sample(1, 0, "100", settles=True), sample(3, 2, "150"), sample(4, 3, "151", settles=True)],
        [Flow(2, START + HOUR, Decimal(50))],
    )
    assert points == (Point(START, Decimal(100)), Point(START + 3 * HOUR, Decimal(151), Decimal(50)))


def test_sample_before_the_moment_of_a_flow_stays_though_recorded_behind_it() -> None:
    points = points_of(
        [sample(1, 0, "100"), sample(3, 1, "101"), sample(4, 3, "151", settles=True)],
        [Flow(2, START + 2 * HOUR, Decimal(50))],
    )
    assert [item.equity for item in points] == [100, 101, 151]
    assert [item.net_flow for item in points] == [0, 0, 50]


def test_flow_without_a_sample_waits_with_all_that_is_dated_after_it() -> None:
    points = points_of([sample(1, 0, "100"), sample(2, 2, "150")], [Flow(3, START + HOUR, Decimal(50))])
    assert points == (Point(START, Decimal(100)),)


def test_flow_whose_sample_is_doubtful_for_another_counts_at_the_next_sure_one() -> None:
    points = points_of(
        [sample(1, 0, "100", settles=True), sample(3, 2, "150", settles=True), sample(5, 3, "170", settles=True)],
        [Flow(2, START + HOUR, Decimal(50)), Flow(4, START + 1.5 * HOUR, Decimal(20))],
    )
    assert points == (Point(START, Decimal(100)), Point(START + 3 * HOUR, Decimal(170), Decimal(70)))


def test_without_a_settling_sample_the_next_recorded_one_contains_the_flow() -> None:
    points = points_of([sample(1, 0, "100"), sample(3, 2, "150")], [Flow(2, START + HOUR, Decimal(50))])
    assert points[-1] == Point(START + 2 * HOUR, Decimal(150), Decimal(50))


def test_facts_of_a_stream_are_its_samples_and_the_transfers_of_their_asset() -> None:
    linked = EquitySampled(
        ALICES, OWNER[ALICES], SampleReason.LINKED, "USDT", Decimal(1), Decimal(100), (), START
    )  # fmt: skip
    samples, flows = facts_of(
        enumerate(
            [transfer("100", at=START), transfer("1", "bnb", asset="BNB"), linked, funding("3"), sampled("103")], 1
        )
    )
    assert [(item.version, item.settles) for item in samples] == [(3, True), (5, False)]
    assert [item.equity for item in samples] == [100, 103]
    assert flows == [Flow(1, START, Decimal(100))]


# ---- properties

GROWTHS = st.lists(st.integers(50, 200).map(lambda percent: Decimal(percent) / 100), min_size=1, max_size=20)
FLOWS = st.lists(st.integers(-900, 5_000).map(lambda mille: Decimal(mille) / 1000), min_size=20, max_size=20)


def equity_path(growths: list[Decimal], flows: list[Decimal], opening: Decimal) -> list[Point]:
    """Flows are fractions of what is there: -0.9 leaves a tenth, so nothing ever ends."""
    points, equity = [Point(START, opening)], opening
    for number, (growth, flow) in enumerate(zip(growths, flows, strict=False), 1):
        before = equity * growth
        amount = (before * flow).quantize(Decimal("0.01"))
        if before + amount <= 0:
            amount = Decimal(0)
        equity = before + amount
        points.append(Point(START + number * DAY, equity, amount))
    return points


@given(GROWTHS, FLOWS)
def test_flows_never_change_a_time_weighted_return(growths: list[Decimal], flows: list[Decimal]) -> None:
    growths = growths[:8]  # so that equities keep fewer digits than a Decimal rounds at
    with_flows = nav_series(equity_path(growths, flows, Decimal(1000)))
    without = nav_series(equity_path(growths, [Decimal(0)] * 20, Decimal(1000)))
    assert [nav.nav for nav in with_flows] == [nav.nav for nav in without] == [1, *accumulate(growths, mul)]
    assert daily_returns(with_flows) == daily_returns(without)


@given(GROWTHS, FLOWS, st.integers(1, 10**6))
def test_scaling_equity_and_flows_scales_no_return(growths: list[Decimal], flows: list[Decimal], factor: int) -> None:
    points = equity_path(growths[:5], flows, Decimal(1000))
    scaled = [Point(item.at, item.equity * factor, item.net_flow * factor) for item in points]
    assert daily_returns(nav_series(points)) == daily_returns(nav_series(scaled))


@given(st.permutations(range(6)))
def test_order_in_which_samples_and_flows_are_handed_in_changes_nothing(order: list[int]) -> None:
    samples = [sample(number * 2 + 1, number, str(100 + number), settles=True) for number in range(6)]
    flows = [Flow(number * 2 + 2, START + number * HOUR, Decimal(number)) for number in range(5)]
    shuffled = [samples[index] for index in order], [flows[index] for index in order if index < 5]
    assert points_of(*shuffled) == points_of(samples, flows)
