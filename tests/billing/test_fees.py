"""The figures of a month: the scenarios of the fee, and what flows, spikes, gaps and ruin do to them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.accounts.events import AccountReconciled, SampleReason
from patriot.billing.assessment import Assessment, Books, assess
from patriot.billing.events import LineKind, ReviewReason
from patriot.billing.nav import Units, divide, walk
from patriot.kernel.errors import CommandRefused, InvalidInput
from tests.billing.support import (
    ACCOUNT,
    CLIENT,
    FEBRUARY_ENDS,
    HOUR,
    JANUARY_ENDS,
    LINKED,
    RATE,
    History,
    deposit_that_gained,
    fees,
    on,
)

pytestmark = pytest.mark.unit


def february(history: History, january: Assessment, known: int) -> Assessment:
    units = Units(
        january.lots_after, january.lots_opened, january.series, january.closing_equity, january.crystallization_nav
    )
    books = Books(units, january.period_end, known, january.unsettled_flows)
    return assess(books, history.facts(), "2022-02", RATE, on(3, 1, 12, 5))


def test_gain_on_one_deposit_is_charged_and_raises_the_mark() -> None:
    january = deposit_that_gained("1.10").january()
    assert fees(january) == ["30.00"]
    assert january.fee_amount == Decimal("30.00")
    assert [lot.high_water_mark for lot in january.lots_before] == [1]
    assert [lot.high_water_mark for lot in january.lots_after] == [Decimal("1.10")]


def test_second_deposit_is_a_lot_with_its_own_mark() -> None:
    history = deposit_that_gained("1.10")
    january, known = history.january(), len(history.events)
    history.hourly(on(2, 1, 13), on(2, 9, 23), "1050").transfer(on(2, 10), "1100", "2150")
    equity = str((Decimal(1000) + divide(Decimal(1100), Decimal("1.05"))) * Decimal("1.08"))
    history.hourly(on(2, 10, 1), on(3, 1, 12), equity)
    second = february(history, january, known)
    assert second.crystallization_nav == Decimal("1.08")
    assert [(line.lot, str(line.fee)) for line in second.lines] == [(1, "0.00"), (2, "9.43")]
    assert [lot.high_water_mark for lot in second.lots_after] == [Decimal("1.10"), Decimal("1.08")]


def test_deposit_alone_owes_nothing() -> None:
    history = History().transfer(LINKED, "1000", "1000").hourly(LINKED + HOUR, on(1, 31, 10), "1000")
    history.transfer(on(1, 31, 11), "500", "1500").hourly(on(1, 31, 12), on(2, 1, 12), "1500")
    january = history.january()
    assert fees(january) == ["0.00", "0.00"]
    assert january.net_deposits == 1500


def test_withdrawal_is_charged_on_the_redeemed_units_alone() -> None:
    history = History().transfer(LINKED, "1000", "1000").sample(LINKED + HOUR, "1100")
    history.transfer(LINKED + 2 * HOUR, "-550", "550").hourly(LINKED + 3 * HOUR, on(2, 1, 12), "500")
    january = history.january()
    redeemed, kept = january.lines
    assert (redeemed.kind, redeemed.units, redeemed.nav, redeemed.fee) == (
        LineKind.REDEMPTION,
        Decimal(500),
        Decimal("1.1"),
        Decimal("15.00"),
    )
    assert (kept.kind, kept.units, kept.fee) == (LineKind.PERIOD_END, Decimal(500), Decimal(0))
    assert [(lot.units, lot.high_water_mark) for lot in january.lots_after] == [(Decimal(500), Decimal(1))]


def test_gain_below_the_mark_is_free() -> None:
    history = deposit_that_gained("1.10")
    january, known = history.january(), len(history.events)
    history.hourly(on(2, 1, 13), on(2, 14), "900").hourly(on(2, 14, 1), on(3, 1, 12), "1050")
    second = february(history, january, known)
    assert second.fee_amount == 0
    assert [lot.high_water_mark for lot in second.lots_after] == [Decimal("1.10")]


def test_spike_of_five_minutes_at_month_end_hardly_moves_the_fee() -> None:
    history = History().transfer(LINKED, "1000", "1000").hourly(LINKED + HOUR, on(1, 31, 23), "1000")
    history.sample(JANUARY_ENDS, "2000").sample(JANUARY_ENDS + timedelta(minutes=5), "1000")
    nav = history.hourly(on(2, 1, 1), on(2, 1, 12), "1000").january().crystallization_nav
    assert nav is not None
    assert 0 < nav - 1 < Decimal("0.004")


def test_lot_opened_after_month_end_waits() -> None:
    history = History().transfer(LINKED, "1000", "1000").hourly(LINKED + HOUR, on(2, 1, 1), "1100")
    history.transfer(on(2, 1, 2), "1100", "2200").hourly(on(2, 1, 3), on(2, 1, 12), "2200")
    january = history.january()
    assert [line.lot for line in january.lines] == [1]
    assert january.closing_equity == 1100
    assert len(january.unsettled_flows) == 1
    known = len(history.events)
    second = february(history.hourly(on(2, 1, 13), on(3, 1, 12), "2200"), january, known)
    assert [(lot.number, lot.units) for lot in second.lots_after] == [(1, Decimal(1000)), (2, Decimal(1000))]
    assert second.net_deposits == 1100
    assert second.fee_amount == 0


def navs_of(history: History) -> list[Decimal | None]:
    facts = history.facts()
    return [step.units.nav for step in walk(Units(), facts.flows, facts.samples)]


def test_sample_between_a_transfer_and_its_record_is_left_out() -> None:
    history = History().transfer(LINKED, "1000", "1000").sample(on(1, 30, 10), "1500")
    history.only_transfer(on(1, 30, 9, 59), "500").sample(on(1, 30, 10, 1), "1500", SampleReason.TRANSFER)
    assert navs_of(history) == [1, 1]


def test_sample_at_the_very_time_of_a_transfer_is_left_out() -> None:
    history = History().transfer(LINKED, "1000", "1000").sample(on(1, 30, 10), "1000")
    assert navs_of(history.transfer(on(1, 30, 10), "500", "1500")) == [1, 1]


def test_transfer_sample_with_a_clock_behind_still_contains_the_transfer() -> None:
    history = History().transfer(LINKED, "1000", "1000").only_transfer(on(1, 30, 10), "500")
    history.sample(on(1, 30, 9, 59), "1500", SampleReason.TRANSFER).sample(on(1, 30, 11), "1500")
    assert navs_of(history) == [1, 1, 1]


def test_transfer_whose_own_sample_contains_a_later_one_is_settled_with_that() -> None:
    history = History().transfer(LINKED, "1000", "1000").only_transfer(on(1, 30, 10), "500")
    history.sample(on(1, 30, 10, 2), "1800", SampleReason.TRANSFER)  # holds the 300 that are recorded after it
    history.only_transfer(on(1, 30, 10, 1), "300").sample(on(1, 30, 10, 3), "1800", SampleReason.TRANSFER)
    assert navs_of(history) == [1, 1]


def test_transfer_without_a_sample_of_its_own_is_in_the_next_one() -> None:
    history = History().transfer(LINKED, "1000", "1000").only_transfer(on(1, 30, 10), "500")
    assert navs_of(history.sample(on(1, 30, 11), "1500")) == [1, 1]


def test_transfer_that_no_sample_followed_yet_waits() -> None:
    history = deposit_that_gained("1.10").only_transfer(on(2, 1, 11, 30), "500")
    january = history.january()
    assert january.unsettled_flows == (len(history.events),)
    assert fees(january) == ["30.00"]


def test_transfer_of_another_asset_moves_no_units() -> None:
    history = deposit_that_gained("1.10").only_transfer(on(2, 1, 1), "3", asset="BNB")
    assert fees(history.january()) == ["30.00"]
    assert history.january().unsettled_flows == ()


def test_other_events_of_the_account_change_nothing() -> None:
    history = deposit_that_gained("1.10")
    before = history.january()
    history.events.append(AccountReconciled(ACCOUNT, CLIENT, Decimal(0), None, on(2, 1, 12)))
    assert history.january() == before


def test_withdrawal_of_everything_ends_the_lots_and_the_next_deposit_starts_at_one() -> None:
    history = History().transfer(LINKED, "1000", "1000").sample(LINKED + HOUR, "1200")
    history.transfer(LINKED + 2 * HOUR, "-1200", "0").sample(LINKED + 3 * HOUR, "0")
    history.transfer(on(1, 31), "700", "700").hourly(on(1, 31, 1), on(2, 1, 12), "700")
    january = history.january()
    assert fees(january) == ["60.00", "0.00"]
    assert (january.series, january.crystallization_nav) == (2, Decimal(1))
    assert [(lot.number, lot.units, lot.high_water_mark) for lot in january.lots_after] == [
        (2, Decimal(700), Decimal(1))
    ]
    assert january.net_deposits == 500


def test_empty_account_gets_a_statement_without_lines() -> None:
    january = History().transfer(LINKED, "1000", "1000").transfer(LINKED + HOUR, "-1000", "0").january()
    assert (january.crystallization_nav, january.lots_after, january.review_reasons) == (None, (), ())
    assert fees(january) == ["0.00"]


def test_ruined_account_begins_again_with_its_next_deposit() -> None:
    history = History().transfer(LINKED, "1000", "1000").sample(LINKED + HOUR, "-5")
    history.transfer(LINKED + 2 * HOUR, "1000", "995").hourly(LINKED + 3 * HOUR, on(2, 1, 12), "995")
    january = history.january()
    assert [(lot.units, lot.high_water_mark) for lot in january.lots_after] == [(Decimal(995), Decimal(1))]
    assert january.fee_amount == 0
    assert january.net_deposits == 2000


def test_hole_in_the_samples_needs_a_person() -> None:
    history = History().transfer(LINKED, "1000", "1000").hourly(LINKED + HOUR, on(1, 31, 20), "1000")
    january = history.hourly(on(1, 31, 22), on(2, 1, 12), "1100").january()
    assert january.largest_gap_seconds == 7200
    assert january.review_reasons == (ReviewReason.SAMPLE_GAP,)


def test_hole_before_the_window_is_nobodys_concern() -> None:
    history = History().transfer(LINKED, "1000", "1000").hourly(on(1, 31, 11, 30), on(2, 1, 12), "1100")
    assert history.january().review_reasons == ()


def test_transfer_that_became_known_after_the_close_needs_a_person() -> None:
    history = deposit_that_gained("1")
    january, known = history.january(), len(history.events)
    history.only_transfer(on(1, 31), "-200").sample(on(2, 1, 12, 30), "800", SampleReason.TRANSFER)
    second = february(history.hourly(on(2, 1, 13), FEBRUARY_ENDS + 12 * HOUR, "800"), january, known)
    assert second.review_reasons == (ReviewReason.LATE_TRANSFER,)
    assert second.net_deposits == -200
    assert [lot.units for lot in second.lots_after] == [800]


def test_close_before_the_window_is_over_is_refused() -> None:
    with pytest.raises(CommandRefused, match="can be closed from 2022-02-01T12:00"):
        deposit_that_gained().january(at=on(2, 1, 11, 59))


def test_final_close_cuts_the_month_and_the_window() -> None:
    january = deposit_that_gained("1.10").january(at=on(1, 31, 18), final=True)
    assert (january.period_end, january.window_start, january.window_end) == (
        on(1, 31, 18),
        on(1, 31, 6),
        on(1, 31, 18),
    )
    assert january.crystallization_nav == Decimal("1.05")


@pytest.mark.parametrize("period", ["2022-13", "2022-1", "january", "2022-01\n", ""])
def test_period_that_is_no_month_is_refused_by_name(period: str) -> None:
    with pytest.raises(InvalidInput, match="period: expected a month"):
        assess(Books(), History().sample(LINKED, "1").facts(), period, RATE, on(2, 1, 13))


amounts = st.decimals(min_value="-900", max_value="5000", places=2)
equities = st.decimals(min_value="0.01", max_value="100000", places=8)


@given(st.lists(st.tuples(amounts, equities), min_size=1, max_size=20))
def test_transfers_alone_never_move_the_nav(flows: list[tuple[Decimal, Decimal]]) -> None:
    history, at = History().sample(LINKED, "1000"), LINKED
    for amount, equity in flows:
        at += HOUR
        history.sample(at, equity).transfer(at + HOUR / 2, str(amount), str(equity + amount))
    facts = history.facts()
    steps = list(walk(Units(), facts.flows, facts.samples))
    for before, after in zip(steps[1::2], steps[2::2], strict=True):
        same_series = before.units.series == after.units.series
        if before.units.nav and after.units.nav and same_series and before.units.nav >= Decimal("0.01"):
            assert abs(after.units.nav / before.units.nav - 1) < Decimal("1e-9")


@given(st.lists(equities, min_size=24, max_size=48))
def test_mark_never_falls_and_fee_is_never_negative(curve: list[Decimal]) -> None:
    history = History().transfer(LINKED, "1000", "1000")
    for hours, equity in enumerate(curve, start=1):
        history.sample(LINKED + hours * HOUR, equity)
    january = history.january(at=on(2, 1, 12, 5))
    assert all(line.fee >= 0 for line in january.lines)
    for before, after in zip(january.lots_before, january.lots_after, strict=True):
        assert after.high_water_mark >= before.high_water_mark
