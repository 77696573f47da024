from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.accounts.events import EquitySampled, SampleReason, TransferRecorded
from patriot.risk.commands import AccountRisk
from patriot.risk.days import SOON, DayBook, DayEvent
from patriot.risk.decider import has_lost, loss_fraction
from patriot.risk.events import PeakRebased
from patriot.trading.terms import AccountId, UserId

pytestmark = pytest.mark.unit

NOON = datetime(2030, 1, 2, 12, tzinfo=UTC)
MIDNIGHT = datetime(2030, 1, 3, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
USER, ACCOUNT = UserId(UUID(int=1)), AccountId(UUID(int=2))

Fact = DayEvent


def sample(equity: str | Decimal, at: datetime = NOON) -> EquitySampled:
    worth = Decimal(equity)
    return EquitySampled(ACCOUNT, USER, SampleReason.HOURLY, "USDT", worth, worth, (), at)


def transfer(amount: str | Decimal, at: datetime = NOON, asset: str = "USDT") -> TransferRecorded:
    return TransferRecorded(ACCOUNT, USER, f"t-{amount}-{at}", asset, Decimal(amount), at)


def book(*events: DayEvent) -> DayBook:
    days = DayBook()
    for event in events:
        days.apply(event)
    return days


def risk(equity: str, day_start: str, peak: str) -> AccountRisk:
    return AccountRisk(Decimal(equity), Decimal(day_start), Decimal(peak))


def risk_of(days: DayBook, equity: str | None = None) -> AccountRisk:
    known = days.risk_of(ACCOUNT, None if equity is None else Decimal(equity))
    assert known is not None
    return known


def losses(days: DayBook, equity: str | None = None) -> tuple[str, str]:
    """Return the losses since the day's start and since the peak."""
    now = risk_of(days, equity)
    found = (loss_fraction(now.equity, now.day_start_equity), loss_fraction(now.equity, now.peak_equity))
    return f"{found[0]:f}", f"{found[1]:f}"


def test_account_without_a_sample_is_unknown() -> None:
    assert book(transfer("100")).risk_of(ACCOUNT) is None


def test_loss_of_the_day_counts_from_its_first_sample_and_drawdown_from_the_peak() -> None:
    days = book(
        sample("1000", NOON),
        sample("1200", NOON + 6 * HOUR),
        sample("1100", NOON + 12 * HOUR),
        sample("1050", NOON + 13 * HOUR),
    )
    assert risk_of(days) == risk("1050", "1100", "1200")


def test_figure_newer_than_the_last_sample_counts() -> None:
    assert risk_of(book(sample("1000")), "990") == risk("990", "1000", "1000")


def test_newer_sample_of_the_same_instant_counts() -> None:
    assert risk_of(book(sample("1000"), sample("1010"), sample("990"))) == risk("990", "1000", "1010")


@pytest.mark.parametrize(
    ("what", "facts", "lost"),
    [
        ("a loss of 330 on 10,000", [sample("9670", NOON + HOUR)], "0.033000"),
        (
            "then 7,000 of 9,670 out",
            [sample("9670", NOON + HOUR), transfer("-7000", NOON + 2 * HOUR), sample("2670", NOON + 2 * HOUR)],
            "0.033000",
        ),
        ("the same in one step", [transfer("-7000", NOON + HOUR), sample("2670", NOON + HOUR)], "0.033000"),
        (
            "then 10,000 in",
            [sample("9670", NOON + HOUR), transfer("10000", NOON + 2 * HOUR), sample("19670", NOON + 2 * HOUR)],
            "0.033000",
        ),
        ("the same in one step", [transfer("10000", NOON + HOUR), sample("19670", NOON + HOUR)], "0.033000"),
        (
            "out and in within minutes",
            [
                sample("9670", NOON + HOUR),
                transfer("-9000", NOON + HOUR + MINUTE),
                sample("670", NOON + HOUR + MINUTE),
                transfer("9000", NOON + HOUR + 9 * MINUTE),
                sample("9670", NOON + HOUR + 9 * MINUTE),
            ],
            "0.033000",
        ),
        (
            "all out and back",
            [
                sample("9670", NOON + HOUR),
                transfer("-9670", NOON + 2 * HOUR),
                sample("0", NOON + 2 * HOUR),
                sample("0", NOON + 3 * HOUR),
                transfer("9670", NOON + 4 * HOUR),
                sample("9670", NOON + 4 * HOUR),
            ],
            "0.033000",
        ),
        (
            "out, then 10 % of what is left: 0.967 x 0.9 = 0.8703",
            [
                sample("9670", NOON + HOUR),
                transfer("-8670", NOON + 2 * HOUR),
                sample("1000", NOON + 2 * HOUR),
                sample("900", NOON + 3 * HOUR),
            ],
            "0.129700",
        ),
        (
            "in, then won back on twice the money: 0.967 x 1.1 = 1.0637",
            [
                sample("9670", NOON + HOUR),
                transfer("10330", NOON + 2 * HOUR),
                sample("20000", NOON + 2 * HOUR),
                sample("22000", NOON + 3 * HOUR),
            ],
            "-0.063700",
        ),
        ("all lost", [sample("0", NOON + HOUR)], "1.000000"),
        ("more than all lost", [sample("-50", NOON + HOUR)], "1.005000"),
        (
            "all lost, then 1,000 in",
            [sample("0", NOON + HOUR), transfer("1000", NOON + 2 * HOUR), sample("1000", NOON + 2 * HOUR)],
            "0.999999",
        ),
        (
            "more than all lost, then 1,050 in",
            [sample("-50", NOON + HOUR), transfer("1050", NOON + 2 * HOUR), sample("1000", NOON + 2 * HOUR)],
            "0.999999",
        ),
        (
            "10,000 in, of which a part is lost before anyone looks: 8,000 of 20,000 are left",
            [transfer("10000", NOON + MINUTE), sample("8000", NOON + HOUR)],
            "0.600000",
        ),
    ],
)
def test_loss_of_the_day_is_that_of_the_trading(what: str, facts: list[Fact], lost: str) -> None:
    assert losses(book(sample("10000"), *facts))[0] == lost, what


def test_flow_before_its_sample_changes_no_loss() -> None:
    days = book(sample("10000"), sample("9670", NOON + HOUR), transfer("-7000", NOON + HOUR))
    assert losses(days) == losses(days, "2670") == ("0.033000", "0.033000")
    assert losses(days, "2403") == ("0.059700", "0.059700")  # (9,403 of 9,670) x 0.967


def test_limit_that_is_reached_exactly_counts_after_a_withdrawal_too() -> None:
    days = book(
        sample("10000"), sample("9500", NOON + HOUR), transfer("-6500", NOON + HOUR), sample("3000", NOON + HOUR)
    )
    now = risk_of(days)
    assert has_lost(now.equity, now.day_start_equity, Decimal("0.05"))
    assert not has_lost(now.equity, now.day_start_equity, Decimal("0.050000000001"))


def test_first_deposit_into_an_empty_account_is_no_gain_and_no_loss() -> None:
    days = book(sample("0"), transfer("500", NOON + HOUR), sample("500", NOON + HOUR), sample("490", NOON + 2 * HOUR))
    assert losses(days) == ("0.020000", "0.020000")


@pytest.mark.parametrize("amount", ["5", "-5"])
def test_transfer_in_another_asset_moves_no_reference(amount: str) -> None:
    assert risk_of(book(sample("1000"), transfer(amount, NOON + HOUR, "BNB"))) == risk("1000", "1000", "1000")


def test_sample_that_arrives_late_changes_nothing() -> None:
    assert risk_of(book(sample("1000", NOON + HOUR), sample("5000", NOON))) == risk("1000", "1000", "1000")


# When a day starts ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "lost"),
    [
        (MIDNIGHT, "0.010000"),
        (MIDNIGHT + SOON, "0.010000"),
        (MIDNIGHT + SOON + timedelta(seconds=1), "0.109000"),  # 1 - 0.9 x 0.99: since the last value before the outage
        (MIDNIGHT + 7 * HOUR, "0.109000"),
    ],
)
def test_day_starts_at_its_first_sample_or_after_an_outage_at_the_last_one_before(first: datetime, lost: str) -> None:
    days = book(sample("1000", MIDNIGHT - HOUR), sample("900", first), sample("891", first + HOUR))
    assert losses(days)[0] == lost


def test_day_after_an_outage_starts_once() -> None:
    days = book(sample("1000", MIDNIGHT - 30 * HOUR), sample("900", MIDNIGHT + HOUR))
    assert losses(days)[0] == "0.100000"
    days.apply(sample("900", MIDNIGHT + 24 * HOUR))
    assert losses(days)[0] == "0.000000"


def test_withdrawal_during_an_outage_is_no_loss_of_the_day() -> None:
    days = book(sample("1000", MIDNIGHT - HOUR), transfer("-500", MIDNIGHT + HOUR), sample("500", MIDNIGHT + 5 * HOUR))
    assert losses(days) == ("0.000000", "0.000000")


# Transfers that are recorded late -------------------------------------------------------------------------------------


@pytest.mark.parametrize("amount", ["500", "-500"])
def test_transfer_recorded_after_the_sample_that_holds_it_changes_nothing(amount: str) -> None:
    """Won 100, moved, lost 10 %: recorded in time or after the sample that shows it."""
    moved = transfer(amount, NOON + 90 * MINUTE)
    shown, later = 1100 + Decimal(amount), 3 * HOUR
    start = sample("1000"), sample("1100", NOON + HOUR)
    lost = sample(shown * Decimal("0.9"), NOON + later)
    for known in (
        book(*start, moved, sample(shown, NOON + 2 * HOUR), lost),
        book(*start, sample(shown, NOON + 2 * HOUR), moved, lost),
    ):
        assert losses(known) == ("0.010000", "0.100000")


def test_late_deposit_takes_back_the_peak_and_the_day_that_it_seemed_to_make() -> None:
    days = book(sample("1000", MIDNIGHT - HOUR), sample("1500", MIDNIGHT + MINUTE))
    assert losses(days, "1450") == ("0.033334", "0.033334")
    days.apply(transfer("500", MIDNIGHT - 2 * MINUTE))
    assert losses(days) == ("0.000000", "0.000000")
    assert losses(days, "1450") == ("0.033334", "0.033334")


def test_transfer_before_the_first_sample_changes_nothing() -> None:
    assert losses(book(sample("1000"), transfer("500", NOON - HOUR)), "950") == ("0.050000", "0.050000")


@pytest.mark.parametrize(("amount", "first", "second"), [("500", "1500", "1500"), ("-500", "500", "500")])
def test_transfer_of_an_older_step_is_measured_by_the_equity_since(amount: str, first: str, second: str) -> None:
    days = book(sample("1000"), sample(first, NOON + 2 * HOUR), sample(second, NOON + 3 * HOUR))
    days.apply(transfer(amount, NOON + HOUR))
    assert losses(days) == ("0.000000", "0.000000")
    assert losses(days, str(Decimal(second) * Decimal("0.99"))) == ("0.010000", "0.010000")


def test_late_transfer_larger_than_all_there_is_to_measure_it_by_changes_nothing() -> None:
    days = book(sample("1000"), sample("400", NOON + 2 * HOUR), sample("400", NOON + 3 * HOUR))
    days.apply(transfer("500", NOON + HOUR))
    assert losses(days) == ("0.600000", "0.600000")


# Any trading, any flows -----------------------------------------------------------------------------------------------

returns = st.decimals(min_value="-0.3", max_value="0.4", places=4)
flows = st.decimals(min_value="-0.99", max_value=50, places=2)  # of what is there
moves = st.lists(st.tuples(returns, st.lists(flows, max_size=3), st.integers(0, 9), st.booleans()), max_size=25)


@given(moves)
def test_losses_are_those_of_the_same_trading_without_flows(
    steps: list[tuple[Decimal, list[Decimal], int, bool]],
) -> None:
    """Every step wins or loses its fraction of what is there; then money moves, known before the sample or after it."""
    with_flows, without = book(sample("10000")), book(sample("10000"))
    at, plain, worth = NOON, Fraction(10_000), Fraction(10_000)
    for gained, moved, hours, late in steps:
        step = timedelta(hours=hours, minutes=1)
        plain *= 1 + Fraction(gained)
        worth = _money(worth * (1 + Fraction(gained)))
        records = list[Fact]()
        for fraction in moved:
            amount = _money(worth * Fraction(fraction))
            worth += amount
            records.append(transfer(_decimal(amount), at + step / 2))
        at += step
        shown = sample(_decimal(worth), at)
        known: list[Fact] = [shown, *records] if late else [*records, shown]
        for event in known:
            with_flows.apply(event)
        without.apply(sample(_decimal(_money(plain)), at))
        here, there = risk_of(with_flows), risk_of(without)
        for one, other in (
            (here.day_start_equity, there.day_start_equity),
            (here.peak_equity, there.peak_equity),
        ):
            assert abs(Fraction(here.equity) / Fraction(one) - Fraction(there.equity) / Fraction(other)) < Fraction(
                1, 10**9
            )


@given(moves, st.lists(flows, min_size=1, max_size=6))
def test_no_sequence_of_flows_changes_a_loss(
    steps: list[tuple[Decimal, list[Decimal], int, bool]], moved: list[Decimal]
) -> None:
    days, at, worth = book(sample("10000")), NOON, Decimal(10_000)
    for gained, _, hours, _ in steps:
        at += timedelta(hours=hours)
        worth = (worth * (1 + gained)).quantize(Decimal("1e-12"))
        days.apply(sample(worth, at))
    before = risk_of(days)
    for fraction in moved:
        amount = (worth * fraction).quantize(Decimal("1e-12"))
        worth += amount
        days.apply(transfer(amount, at))
        days.apply(sample(worth, at))
    after = risk_of(days)
    for one, other in ((before.day_start_equity, after.day_start_equity), (before.peak_equity, after.peak_equity)):
        exact = Fraction(one) / Fraction(before.equity) * Fraction(after.equity)
        assert 0 <= Fraction(other) - exact < Fraction(1, 10**17)


def _money(amount: Fraction) -> Fraction:
    return Fraction(round(amount * 10**14), 10**14)


def _decimal(amount: Fraction) -> Decimal:
    return Decimal(amount.numerator * 10**14 // amount.denominator).scaleb(-14)


# Re-based peaks -------------------------------------------------------------------------------------------------------


def rebased(old: str, new: str, measured_at: datetime) -> PeakRebased:
    return PeakRebased(
        ACCOUNT, USER, Decimal(old), Decimal(new), "agreed", "anna", "ben", measured_at, measured_at + MINUTE
    )


def test_drawdown_counts_from_the_rebased_peak_and_the_day_from_its_start() -> None:
    days = book(sample("1000"), sample("700", NOON + HOUR), rebased("1000", "700", NOON + HOUR))
    assert losses(days) == ("0.300000", "0.000000")
    assert losses(days, "630") == ("0.370000", "0.100000")
    days.apply(sample("1400", NOON + 2 * HOUR))
    assert losses(days, "1260")[1] == "0.100000"


def test_sample_between_the_measured_one_and_the_decision_is_no_part_of_what_is_forgiven() -> None:
    days = book(sample("1000"), sample("800", NOON + HOUR), sample("600", NOON + 2 * HOUR))
    days.apply(rebased("1000", "800", NOON + HOUR))
    assert losses(days)[1] == "0.250000"


def test_peak_that_is_newer_than_what_was_rebased_stays() -> None:
    days = book(sample("1000"), sample("800", NOON + HOUR), sample("1100", NOON + 2 * HOUR))
    days.apply(rebased("1000", "800", NOON + HOUR))
    assert losses(days, "990")[1] == "0.100000"


def test_withdrawal_told_of_after_the_peak_was_rebased_is_no_loss_and_no_gain() -> None:
    days = book(sample("1000"), sample("400", NOON + 2 * HOUR), rebased("1000", "400", NOON + 2 * HOUR))
    days.apply(transfer("-300", NOON + HOUR))
    assert losses(days) == ("0.300000", "0.000000")
    assert losses(days, "360")[1] == "0.100000"


def test_account_without_a_sample_has_no_peak_to_rebase() -> None:
    assert book(rebased("1000", "400", NOON)).risk_of(ACCOUNT) is None
