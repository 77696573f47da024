"""The books of an account: every record once, in whatever order and however often the exchange shows it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.accounts.commands import (
    LedgerCommand,
    OpenLedger,
    RecordCharge,
    RecordEquity,
    RecordFunding,
    RecordReconciliation,
    RecordTrade,
    RecordTransfer,
)
from patriot.accounts.events import (
    AccountReconciled,
    ChargeBooked,
    EquitySampled,
    FundingPaid,
    LedgerEvent,
    LedgerOpened,
    SampleReason,
    TradeBooked,
    TradeOrigin,
    TransferRecorded,
)
from patriot.accounts.ledger import (
    LEDGER,
    OPENING,
    REMEMBERED,
    REMEMBERED_TRADES,
    SETTLING,
    missing_equity,
    read_from,
)
from patriot.trading.reports import IncomeRecord, IncomeType
from patriot.trading.terms import Side
from tests.accounts.facts import NOON, ONE, OWNER

pytestmark = pytest.mark.unit

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def income(record_id: str, kind: IncomeType, amount: str, at: datetime, asset: str = "USDT") -> IncomeRecord:
    return IncomeRecord(record_id, kind, kind.value, "", asset, Decimal(amount), at)


def opening(wallet: str, *records: IncomeRecord, at: datetime = NOON) -> OpenLedger:
    return OpenLedger(ONE, OWNER, "USDT", Decimal(wallet), records, at)


def transfer(record_id: str, amount: str, at: datetime = NOON, asset: str = "USDT") -> RecordTransfer:
    return RecordTransfer(ONE, OWNER, record_id, asset, Decimal(amount), at)


def funding(record_id: str, amount: str, at: datetime = NOON) -> RecordFunding:
    return RecordFunding(ONE, OWNER, record_id, "BTCUSDT", "USDT", Decimal(amount), at)


def sample(reason: SampleReason, at: datetime = NOON) -> RecordEquity:
    return RecordEquity(ONE, OWNER, reason, "USDT", Decimal(1000), Decimal(1000), (), at)


def told(*commands: LedgerCommand) -> list[LedgerEvent]:
    """Return all events of these commands, one after the other."""
    events: list[LedgerEvent] = []
    for command in commands:
        events += LEDGER.decide(LEDGER.fold(events), command)
    return events


def wallet_of(events: list[LedgerEvent]) -> Decimal:
    return sum((e.amount for e in events if isinstance(e, TransferRecorded | FundingPaid)), Decimal(0))


def test_wallet_that_transfers_explain_is_opened_with_them_alone() -> None:
    events = told(opening("1000", income("T:1", IncomeType.TRANSFER, "1000", NOON)))

    assert isinstance(events[0], LedgerOpened)
    assert events[1:] == [TransferRecorded(ONE, OWNER, "T:1", "USDT", Decimal(1000), NOON)]


def test_wallet_that_transfers_do_not_explain_is_opened_with_the_rest() -> None:
    history = (
        income("T:1", IncomeType.TRANSFER, "1000", NOON - 30 * HOUR),
        income("R:1", IncomeType.REALIZED_PNL, "70", NOON - 20 * HOUR),
        income("F:1", IncomeType.FUNDING_FEE, "-20", NOON - 10 * HOUR),
    )
    events = told(opening("1050", *history))

    assert events[-1] == TransferRecorded(ONE, OWNER, OPENING, "USDT", Decimal(50), NOON)
    assert wallet_of(events) == 1050


def test_transfer_in_another_asset_explains_nothing_of_the_wallet() -> None:
    events = told(opening("1000", income("T:1", IncomeType.TRANSFER, "3", NOON, "BNB")))

    assert events[1:] == [
        TransferRecorded(ONE, OWNER, "T:1", "BNB", Decimal(3), NOON),
        TransferRecorded(ONE, OWNER, OPENING, "USDT", Decimal(1000), NOON),
    ]


def trade(number: int, at: datetime = NOON + MINUTE, symbol: str = "BTCUSDT") -> RecordTrade:
    return RecordTrade(
        ONE, OWNER, symbol, str(number), TradeOrigin.CLIENT, Side.BUY, Decimal(1), Decimal(100), Decimal(0),
        Decimal("0.04"), "USDT", Decimal("0.04"), at,
    )  # fmt: skip


def test_execution_is_booked_once_per_symbol_and_id() -> None:
    events = told(opening("1000"), trade(1), trade(2), trade(1), trade(1, symbol="ETHUSDT"))
    assert [(e.symbol, e.trade_id) for e in events if isinstance(e, TradeBooked)] == [
        ("BTCUSDT", "1"),
        ("BTCUSDT", "2"),
        ("ETHUSDT", "1"),
    ]


@pytest.mark.parametrize("commands", [[trade(1)], [opening("1000"), trade(1, NOON)]])
def test_execution_before_the_books_began_is_in_the_opening(commands: list[LedgerCommand]) -> None:
    assert not [e for e in told(*commands) if isinstance(e, TradeBooked)]


def test_execution_is_remembered_while_it_is_young_or_among_the_newest() -> None:
    begun = told(opening("1000"))
    many = range(REMEMBERED_TRADES + 50)
    same_day = LEDGER.fold(begun + told(opening("1000"), *(trade(n) for n in many))[len(begun) :])
    assert len(same_day.trades) == len(many)
    later = NOON + REMEMBERED + 2 * MINUTE
    aged = LEDGER.fold([e for n in many for e in LEDGER.decide(same_day, trade(10_000 + n, later))], same_day)
    assert not aged.lacks_trade("BTCUSDT", "0", NOON + MINUTE), "without newer records it is asked for again"
    assert read_from(aged, NOON) <= NOON + MINUTE
    paid = LEDGER.fold([FundingPaid(ONE, OWNER, "F:1", "BTCUSDT", "USDT", Decimal(-1), later)], aged)
    more = LEDGER.fold([e for n in many for e in LEDGER.decide(paid, trade(20_000 + n, later))], paid)
    assert len(more.trades) == 2 * len(many)
    assert read_from(more, NOON) > NOON + MINUTE
    assert not more.lacks_trade("BTCUSDT", str(10_000), later)


def test_charge_is_booked_once_and_never_without_an_amount() -> None:
    charge = RecordCharge(ONE, OWNER, "API_REBATE:1", "API_REBATE", "", "BNB", Decimal("0.1"), Decimal(41), NOON + HOUR)
    events = told(opening("1000"), charge, charge, replace(charge, record_id="API_REBATE:2", amount=Decimal(0)))
    assert [e for e in events if isinstance(e, ChargeBooked)] == [
        ChargeBooked(ONE, OWNER, "API_REBATE:1", "API_REBATE", "", "BNB", Decimal("0.1"), Decimal(41), NOON + HOUR)
    ]


def test_books_are_opened_once() -> None:
    assert told(opening("1000"), opening("2000")) == told(opening("1000"))


def test_records_from_before_the_opening_are_not_booked_again() -> None:
    before = income("F:1", IncomeType.FUNDING_FEE, "-20", NOON)
    events = told(opening("980", before))

    assert LEDGER.decide(LEDGER.fold(events), funding("F:1", "-20", NOON)) == []
    assert LEDGER.decide(LEDGER.fold(events), funding("F:0", "-3", NOON - 2 * SETTLING)) == []


def test_record_that_the_exchange_shows_an_hour_late_is_kept_apart_from_what_the_opening_settled() -> None:
    settled = [income(f"F:{minutes}", IncomeType.FUNDING_FEE, "-1", NOON - minutes * MINUTE) for minutes in (59, 61)]
    events = told(opening("998", *settled))
    assert isinstance(events[0], LedgerOpened)
    assert events[0].settled_records == ("F:59",)
    late = [funding("F:58", "-1", NOON - 58 * MINUTE), funding("F:62", "-1", NOON - 62 * MINUTE)]
    assert [len(LEDGER.decide(LEDGER.fold(events), one)) for one in late] == [1, 0]


def test_transfer_of_the_very_instant_of_the_opening_is_booked() -> None:
    events = told(opening("1000", income("T:1", IncomeType.TRANSFER, "1000", NOON)), transfer("T:2", "500", NOON))
    assert wallet_of(events) == 1500


def test_record_that_shows_up_late_is_booked() -> None:
    events = told(opening("0"), funding("F:2", "-1", NOON + 30 * MINUTE), transfer("T:1", "5", NOON + MINUTE))
    assert wallet_of(events) == 4


def test_record_of_nothing_is_not_booked() -> None:
    assert told(opening("0"), funding("F:1", "0"))[1:] == []


records = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, int(REMEMBERED / MINUTE)), st.integers(-100, 100)),
    unique_by=lambda record: record[0],
    max_size=12,
)


@given(records, st.randoms(use_true_random=False), st.integers(1, 3))
def test_records_in_any_order_and_number_are_booked_once(
    drawn: list[tuple[int, int, int]], chance: Random, times: int
) -> None:
    shown: list[LedgerCommand] = []
    for number, minute, amount in drawn * times:
        record = transfer if number % 2 else funding
        shown.append(record(f"id:{number}", str(amount), NOON + minute * MINUTE))
    chance.shuffle(shown)

    events = told(opening("0"), *shown)

    assert wallet_of(events) == sum(amount for _, _, amount in drawn)


def test_memory_of_the_ledger_is_bounded() -> None:
    state = LEDGER.fold(told(opening("0")))
    for hour in range(1_000):
        state = LEDGER.fold(LEDGER.decide(state, funding(f"F:{hour}", "-1", NOON + hour * HOUR)), state)
        assert len(state.recent) <= REMEMBERED / HOUR + 1


def test_income_is_read_again_from_as_far_back_as_records_are_remembered() -> None:
    assert read_from(LEDGER.initial, NOON) == NOON
    state = LEDGER.fold(told(opening("0"), funding("F:1", "-1", NOON + 5 * HOUR)))
    assert read_from(state, NOON) == NOON - SETTLING, "the opening settled what came before"
    state = LEDGER.fold(LEDGER.decide(state, funding("F:2", "-1", NOON + 90 * HOUR)), state)
    assert read_from(state, NOON) == NOON + 90 * HOUR - REMEMBERED


@pytest.mark.parametrize("late", [2 * HOUR, REMEMBERED, 30 * REMEMBERED])
@pytest.mark.parametrize("record", [transfer, funding])
def test_record_that_shows_up_long_after_its_time_is_booked_once(
    record: Callable[[str, str, datetime], LedgerCommand], late: timedelta
) -> None:
    events = told(
        opening("0"),
        record("id:1", "1", NOON + HOUR + late),
        record("id:2", "5", NOON + HOUR),
        record("id:2", "5", NOON + HOUR),
    )
    assert wallet_of(events) == 6


def test_record_whose_id_is_forgotten_is_not_booked_again() -> None:
    first, long_after = transfer("T:1", "5", NOON + HOUR), transfer("T:2", "1", NOON + 2 * HOUR + REMEMBERED)
    state = LEDGER.fold(told(opening("0"), first, long_after))

    assert "T:1" not in state.recent
    assert LEDGER.decide(state, first) == []
    assert read_from(state, NOON) > first.at, "nobody asks for it again"


@given(st.lists(st.integers(0, REMEMBERED // (8 * HOUR)), min_size=1, max_size=40))
def test_records_that_show_up_late_are_read_again_and_booked_once(delays: list[int]) -> None:
    """One record every eight hours, each seen some reads late; every read goes as far back as the ledger asks."""
    state, booked = LEDGER.fold(told(opening("0"))), Decimal(0)
    for turn in range(len(delays) + max(delays)):
        for number, delay in enumerate(delays):
            shown = transfer(f"T:{number}", "1", NOON + number * 8 * HOUR)
            if number + delay <= turn and shown.at >= read_from(state, NOON):
                events = LEDGER.decide(state, shown)
                booked += wallet_of(events)
                state = LEDGER.fold(events, state)
    assert booked == len(delays)


def test_equity_is_sampled_once_an_hour() -> None:
    hourly = SampleReason.HOURLY
    events = told(sample(hourly), sample(hourly, NOON + 59 * MINUTE), sample(hourly, NOON + HOUR))
    assert [event.sampled_at for event in events if isinstance(event, EquitySampled)] == [NOON, NOON + HOUR]


def test_end_of_a_period_is_sampled_beside_the_hour() -> None:
    assert len(told(sample(SampleReason.HOURLY), sample(SampleReason.PERIOD_END))) == 2


def test_each_transfer_is_sampled_once() -> None:
    at_transfer = sample(SampleReason.TRANSFER)
    events = told(opening("0"), sample(SampleReason.LINKED), transfer("T:1", "5"), at_transfer, at_transfer)
    samples = [event.reason for event in events if isinstance(event, EquitySampled)]
    assert samples == [SampleReason.LINKED, SampleReason.TRANSFER]


def test_sample_is_due_after_opening_and_after_a_transfer_until_it_is_there() -> None:
    events = told(opening("1000"))
    assert missing_equity(LEDGER.fold(events)) is SampleReason.LINKED
    events += LEDGER.decide(LEDGER.fold(events), sample(SampleReason.LINKED))
    assert missing_equity(LEDGER.fold(events)) is None
    events += LEDGER.decide(LEDGER.fold(events), transfer("T:1", "5"))
    events += LEDGER.decide(LEDGER.fold(events), sample(SampleReason.HOURLY))
    assert missing_equity(LEDGER.fold(events)) is SampleReason.TRANSFER


def test_transfer_in_another_asset_is_booked_and_calls_for_no_sample() -> None:
    events = told(opening("1000"), sample(SampleReason.LINKED), transfer("T:1", "5", asset="BNB"))
    assert events[-1] == TransferRecorded(ONE, OWNER, "T:1", "BNB", Decimal(5), NOON)
    assert missing_equity(LEDGER.fold(events)) is None


@pytest.mark.parametrize("reason", [SampleReason.HOURLY, SampleReason.PERIOD_END])
def test_sample_of_an_hour_before_the_newest_is_not_recorded_beside_it(reason: SampleReason) -> None:
    events = told(sample(reason, NOON), sample(reason, NOON - MINUTE), sample(reason, NOON + MINUTE))
    assert [event.sampled_at for event in events if isinstance(event, EquitySampled)] == [NOON]


def reconciliation(unexplained: str, at: datetime) -> RecordReconciliation:
    return RecordReconciliation(ONE, OWNER, Decimal(unexplained), at - HOUR, at)


def reconciled(*commands: RecordReconciliation) -> list[AccountReconciled]:
    return [event for event in told(*commands) if isinstance(event, AccountReconciled)]


def test_unexplained_money_keeps_its_age_until_it_is_explained() -> None:
    found = reconciled(
        reconciliation("5", NOON),
        reconciliation("7", NOON + HOUR),
        reconciliation("0", NOON + 2 * HOUR),
        reconciliation("1", NOON + 3 * HOUR),
    )
    assert [event.unexplained_since for event in found] == [NOON - HOUR, NOON - HOUR, None, NOON + 2 * HOUR]


def test_reconciliation_without_news_is_recorded_once() -> None:
    found = reconciled(reconciliation("0", NOON), reconciliation("0", NOON + HOUR))
    assert [event.reconciled_at for event in found] == [NOON]


def test_reconciliation_that_is_repeated_later_changes_nothing() -> None:
    first, second = reconciliation("5", NOON), reconciliation("0", NOON + HOUR)
    assert len(reconciled(first, second, first, second)) == 2
