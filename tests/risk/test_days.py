from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.accounts.events import EquitySampled, SampleReason, TransferRecorded
from patriot.risk.commands import AccountRisk
from patriot.risk.days import DayBook
from patriot.risk.decider import has_lost
from patriot.trading.terms import AccountId, UserId

pytestmark = pytest.mark.unit

NOON = datetime(2030, 1, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
USER, ACCOUNT = UserId(UUID(int=1)), AccountId(UUID(int=2))


def sample(equity: str | Decimal, at: datetime = NOON) -> EquitySampled:
    worth = Decimal(equity)
    return EquitySampled(ACCOUNT, USER, SampleReason.HOURLY, "USDT", worth, worth, (), at)


def transfer(amount: str | Decimal, at: datetime = NOON, asset: str = "USDT") -> TransferRecorded:
    return TransferRecorded(ACCOUNT, USER, f"t-{amount}-{at}", asset, Decimal(amount), at)


def book(*events: EquitySampled | TransferRecorded) -> DayBook:
    days = DayBook()
    for event in events:
        days.apply(event)
    return days


def risk(equity: str, day_start: str, peak: str) -> AccountRisk:
    return AccountRisk(Decimal(equity), Decimal(day_start), Decimal(peak))


def test_account_without_a_sample_is_unknown() -> None:
    assert book(transfer("100")).risk_of(ACCOUNT) is None


def test_loss_of_the_day_counts_from_its_first_sample_and_drawdown_from_the_peak() -> None:
    days = book(
        sample("1000", NOON),
        sample("1200", NOON + 6 * HOUR),
        sample("1100", NOON + 12 * HOUR),
        sample("1050", NOON + 13 * HOUR),
    )
    assert days.risk_of(ACCOUNT) == risk("1050", "1100", "1200")


def test_figure_newer_than_the_last_sample_counts() -> None:
    assert book(sample("1000")).risk_of(ACCOUNT, Decimal(990)) == risk("990", "1000", "1000")


def test_newer_sample_of_the_same_instant_counts() -> None:
    assert book(sample("1000"), sample("1010"), sample("990")).risk_of(ACCOUNT) == risk("990", "1000", "1010")


def test_deposit_moves_every_reference() -> None:
    assert book(sample("1000"), transfer("500")).risk_of(ACCOUNT) == risk("1500", "1500", "1500")


def test_withdrawal_is_not_a_loss() -> None:
    days = book(sample("1000"), transfer("-600", NOON + HOUR), sample("400", NOON + 2 * HOUR))
    assert days.risk_of(ACCOUNT) == risk("400", "400", "400")


def test_deposit_recorded_after_the_sample_that_holds_it_is_not_a_loss() -> None:
    days = book(sample("1000"), sample("1500", NOON + 2 * HOUR), transfer("500", NOON + HOUR))
    assert days.risk_of(ACCOUNT) == risk("1500", "1500", "1500")


@pytest.mark.parametrize("amount", ["5", "-5"])
def test_transfer_in_another_asset_moves_no_reference(amount: str) -> None:
    assert book(sample("1000"), transfer(amount, NOON + HOUR, "BNB")).risk_of(ACCOUNT) == risk("1000", "1000", "1000")


def test_sample_that_arrives_late_changes_nothing() -> None:
    days = book(sample("1000", NOON + HOUR), sample("5000", NOON))
    assert days.risk_of(ACCOUNT) == risk("1000", "1000", "1000")


steps = st.lists(
    st.tuples(
        st.sampled_from(["trade", "flow"]), st.decimals(min_value=-300, max_value=300, places=8), st.integers(0, 9)
    ),
    max_size=30,
)


@given(steps)
def test_references_move_with_flows_so_that_only_trading_is_a_gain_or_a_loss(
    moves: list[tuple[str, Decimal, int]],
) -> None:
    """The same trading with and without flows differs by the flows alone, in every figure."""
    with_flows, without = book(sample("10000")), book(sample("10000"))
    at, traded, flows = NOON, Decimal(10_000), Decimal(0)
    for kind, amount, hours in moves:
        at += hours * HOUR
        if kind == "flow":
            flows += amount
            with_flows.apply(transfer(amount, at))
        else:
            traded += amount
            with_flows.apply(sample(traded + flows, at))
            without.apply(sample(traded, at))
    plain = without.risk_of(ACCOUNT)
    moved = with_flows.risk_of(ACCOUNT)
    assert plain is not None
    assert moved == AccountRisk(plain.equity + flows, plain.day_start_equity + flows, plain.peak_equity + flows)


@given(steps, st.decimals(min_value="0.01", max_value=1_000_000, places=2))
def test_deposit_never_triggers_a_loss(moves: list[tuple[str, Decimal, int]], deposit: Decimal) -> None:
    days, at, worth = book(sample("10000")), NOON, Decimal(10_000)
    for _, amount, hours in moves:
        at += hours * HOUR
        worth += amount
        days.apply(sample(worth, at))
    before = days.risk_of(ACCOUNT)
    days.apply(transfer(deposit, at))
    after = days.risk_of(ACCOUNT)
    assert before is not None
    assert after is not None
    assert after.day_start_equity - after.equity == before.day_start_equity - before.equity
    assert after.peak_equity - after.equity == before.peak_equity - before.equity
    for limit in (Decimal("0.05"), Decimal("0.2")):
        if has_lost(after.equity, after.day_start_equity, limit):
            assert has_lost(before.equity, before.day_start_equity, limit)
