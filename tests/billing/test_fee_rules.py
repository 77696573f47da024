"""Fees by the rule: what became known late, when a person looks, the window, and what no history may break.

The stories are those of `test_fees.py`: PATRIOT holds 1 BTC from a price of 1,000 on, at a rate of 30 %.
"""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patriot.accounts.events import PositionSample
from patriot.billing.events import LineKind, ReviewReason
from patriot.billing.period import following, period_end
from patriot.kernel.errors import CommandRefused
from patriot.kernel.money import round_to_cent
from tests.billing.support import (
    DAY,
    FEBRUARY_ENDS,
    HOUR,
    JANUARY_ENDS,
    LINKED,
    MINUTE,
    RATE,
    Story,
    cut_at,
    long_one,
    on,
)

pytestmark = pytest.mark.unit

JANUARY, FEBRUARY, MARCH = "2022-01", "2022-02", "2022-03"


# ---- what became known late


def test_late_execution_corrects_its_month_on_the_next_invoice() -> None:
    story = long_one().price(on(1, 20), "1100")
    assert story.fees(JANUARY) == ["30.00"]
    story.sells(on(1, 15), price="1040")  # R of January was 40
    (february,) = story.closes(FEBRUARY)
    assert [(line.kind, line.period, str(line.fee)) for line in february.lines] == [
        (LineKind.PERFORMANCE, FEBRUARY, "0.00"),
        (LineKind.CORRECTION, JANUARY, "-18.00"),
        (LineKind.CREDIT, FEBRUARY, "18.00"),
    ]
    assert (str(february.fee_amount), str(february.credit_after)) == ("0.00", "18.00")


def test_credit_is_used_up_by_later_fees() -> None:
    story = long_one().price(on(1, 20), "1100")
    story.closes(JANUARY)
    story.sells(on(1, 15), price="1040").buys(on(3, 2), price="1100").price(on(3, 3), "1160")
    february, march = story.closes(FEBRUARY, MARCH)
    assert str(february.credit_after) == "18.00"
    # R of March 40 + 60 = 100, H 40: 18.00, less the credit
    assert [(line.kind, str(line.fee)) for line in march.lines] == [
        (LineKind.PERFORMANCE, "18.00"),
        (LineKind.CREDIT, "-18.00"),
    ]
    assert (str(march.fee_amount), str(march.credit_after)) == ("0.00", "0.00")


def test_late_execution_that_adds_to_a_month_is_charged_with_the_next() -> None:
    story = Story.of_a_client().price(on(1, 20), "1100")
    assert story.fees(JANUARY) == ["0.00"]
    story.buys(on(1, 15), price="1000")  # marks of January are asked for now
    (february,) = story.closes(FEBRUARY)
    assert [(line.kind, line.period, str(line.fee)) for line in february.lines] == [
        (LineKind.PERFORMANCE, FEBRUARY, "0.00"),
        (LineKind.CORRECTION, JANUARY, "30.00"),
    ]
    assert {series.first_at for series in february.marks} == {on(1, 31), on(2, 28)}


# ---- when a person looks


def test_money_that_nothing_explains_makes_a_draft_until_it_is_explained() -> None:
    story = long_one().is_reconciled(on(1, 20), "0.00000001")
    assert story.assess(JANUARY).review_reasons == (ReviewReason.UNEXPLAINED_MONEY,)
    story.is_reconciled(on(1, 21), "0")
    assert story.assess(JANUARY).review_reasons == ()


def test_books_that_end_before_the_cut_make_a_draft() -> None:
    story = long_one().price(on(1, 20), "1100")
    assert story.assess(JANUARY, sampled=False).review_reasons == (ReviewReason.BOOKS_BEHIND,)


def test_hole_of_more_than_ten_minutes_in_the_marks_makes_a_draft() -> None:
    for minutes, reasons in ((10, ()), (15, (ReviewReason.MARK_GAP,))):
        story = long_one().price(on(1, 31, 12), None).price(on(1, 31, 12) + minutes * MINUTE, "1000")
        assert story.assess(JANUARY).review_reasons == reasons


def test_hole_in_the_marks_of_what_is_not_held_means_nothing() -> None:
    story = long_one().sells(on(1, 20)).price(on(1, 31), None)
    assert story.assess(JANUARY).review_reasons == ()
    assert story.prices.asked == []


def test_month_without_any_mark_of_what_is_held_is_not_closed() -> None:
    with pytest.raises(CommandRefused, match="no mark price of BTCUSDT"):
        long_one().price(on(1, 30), None).assess(JANUARY)


# ---- the window


def test_result_is_looked_at_each_five_minutes_of_the_day_before_the_cut() -> None:
    looks = cut_at(Story.of_a_client(), JANUARY).looks()
    assert (looks[0], looks[-1], len(looks)) == (JANUARY_ENDS - DAY, JANUARY_ENDS, 289)


def test_window_never_begins_before_the_terms() -> None:
    begins = JANUARY_ENDS - timedelta(minutes=12)
    looks = cut_at(Story.of_a_client(begins), JANUARY).looks()
    assert looks == [begins, JANUARY_ENDS - 10 * MINUTE, JANUARY_ENDS - 5 * MINUTE, JANUARY_ENDS]


def test_terms_at_a_cut_begin_the_next_month() -> None:
    story = Story.of_a_client(JANUARY_ENDS).buys(JANUARY_ENDS + MINUTE, price="900")
    assert story.fees(FEBRUARY) == ["30.00"]


# ---- rules that no history may break

MOVES = st.lists(st.integers(-400, 500), min_size=1, max_size=6)  # of the price, one a month
FLOWS = st.lists(st.tuples(st.integers(0, 150 * 24), st.integers(-20_000, 20_000)), max_size=8)


def played(moves: list[int], flows: list[tuple[int, int]], rate: Decimal = RATE) -> tuple[Story, list[str]]:
    """Let the price move in the middle of each month, and money at any hour; return the periods."""
    story, period, periods = Story.of_a_client(rate=rate).buys(LINKED + HOUR), JANUARY, []
    price = Decimal(10_000)
    story.price(LINKED, str(price))
    story.events[-1] = Story.of_a_client().price(LINKED, str(price)).buys(LINKED + HOUR).events[-1]
    for move in moves:
        price += move
        story.price(period_end(period) - 5 * DAY, str(price))
        periods.append(period)
        period = following(period)
    for hour, amount in flows:
        if amount:
            story.moves(LINKED + hour * HOUR, str(amount))
    return story, periods


@settings(max_examples=25)
@given(moves=MOVES, flows=FLOWS, rate=st.decimals("0.01", "1", places=2))
def test_fees_are_the_rate_times_the_highest_result(
    moves: list[int], flows: list[tuple[int, int]], rate: Decimal
) -> None:
    story, periods = played(moves, flows, rate)
    assessments = story.closes(*periods)
    highest = max(Decimal(0), *(one.result.counted for one in assessments))
    assert sum(one.fee_amount for one in assessments) == round_to_cent(rate * highest)
    assert highest == max(0, *(sum(moves[: n + 1]) for n in range(len(moves))))


@settings(max_examples=25)
@given(moves=MOVES, flows=FLOWS)
def test_no_flow_changes_any_fee(moves: list[int], flows: list[tuple[int, int]]) -> None:
    with_flows, periods = played(moves, flows)
    without, _ = played(moves, [])
    assert with_flows.fees(*periods) == without.fees(*periods)


@settings(max_examples=25)
@given(moves=MOVES, depth=st.integers(1, 5_000), month=st.integers(0, 5), minutes=st.integers(1, 24 * 60))
def test_downward_spike_at_a_cut_never_raises_the_sum_of_this_and_later_fees(
    moves: list[int], depth: int, month: int, minutes: int
) -> None:
    quiet, periods = played(moves, [])
    spiked, _ = played(moves, [])
    cut = period_end(periods[min(month, len(periods) - 1)])
    before = spiked.prices.at(cut)
    assert before is not None
    spiked.price(cut - minutes * MINUTE, str(before - depth)).price(cut + MINUTE, str(before))
    assert sum(map(Decimal, spiked.fees(*periods))) <= sum(map(Decimal, quiet.fees(*periods)))


def test_february_ends_where_march_begins() -> None:
    assert cut_at(Story.of_a_client(), FEBRUARY).at == FEBRUARY_ENDS


# ---- what attacks on the rule found


def test_hole_in_the_marks_of_a_month_that_is_corrected_makes_a_draft_once() -> None:
    story = Story.of_a_client().price(on(1, 20), "1100").price(on(1, 31, 12), None).price(on(1, 31, 13), "1100")
    story.closes(JANUARY)
    story.buys(on(1, 15), price="1000")
    february, march = story.closes(FEBRUARY, MARCH)
    assert february.review_reasons == (ReviewReason.MARK_GAP,)
    assert march.review_reasons == ()


def test_funding_after_linking_is_divided_by_what_both_held_then() -> None:
    held = PositionSample("BTCUSDT", Decimal(4), Decimal(1000), Decimal(1000), Decimal(0))
    story = Story().agrees(LINKED, RATE).buys(LINKED + MINUTE).links(LINKED + 2 * MINUTE, "10000", held)
    story.is_paid_funding(on(1, 11), "-4").price(on(1, 20), "1101")
    assert story.fees(JANUARY) == ["30.00"]  # 101 - 4 x 1 / 4


def test_month_that_ends_before_the_terms_hold_is_refused() -> None:
    story = Story().links(LINKED, "10000").agrees(LINKED, RATE, FEBRUARY)
    with pytest.raises(CommandRefused, match="the terms hold from 2022-02-01"):
        story.assess(JANUARY, final_at=on(1, 20))
