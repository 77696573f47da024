"""Money without a record is found, exactly and with its age; money with a late record is not taken for it."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import get_args
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.accounts.commands import RecordReconciliation
from patriot.accounts.effects import LOOK_AGAIN
from patriot.accounts.events import (
    AccountReconciled,
    ChargeBooked,
    EquitySampled,
    FundingPaid,
    LedgerOpened,
    SampleReason,
    TradeBooked,
    TradeOrigin,
    TransferRecorded,
)
from patriot.accounts.ledger import LEDGER
from patriot.accounts.other_trades import MAY_BE_OURS
from patriot.accounts.policies import SETTLED, UNSURE, MoneyEvent, MoneyWatch, reconcile
from patriot.orders.events import OrderFilled
from patriot.trading.terms import Exchange, Leg, OrderId, Side
from tests.accounts.facts import NOON, ONE, OWNER, TWO

pytestmark = pytest.mark.unit

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
OPENED = LedgerOpened(ONE, OWNER, "USDT", Decimal(1000), NOON, (), NOON)


def transfer(amount: str, at: datetime = NOON, asset: str = "USDT") -> TransferRecorded:
    return TransferRecorded(ONE, OWNER, f"T:{at}", asset, Decimal(amount), at)


def funding(amount: str, at: datetime, asset: str = "USDT") -> FundingPaid:
    return FundingPaid(ONE, OWNER, f"F:{at}", "BTCUSDT", asset, Decimal(amount), at)


def fill(pnl: str, commission: str, at: datetime, asset: str = "USDT") -> OrderFilled:
    return OrderFilled(
        order_id=OrderId(UUID(int=7)),
        group_id=OrderId(UUID(int=7)),
        leg=Leg.ENTRY,
        user_id=OWNER,
        account_id=ONE,
        strategy_id=None,
        exchange=Exchange.BINANCE,
        symbol="BTCUSDT",
        side=Side.BUY,
        trade_id=f"{at}",
        venue_order_id="1",
        quantity=Decimal(1),
        price=Decimal(1),
        commission=Decimal(commission),
        commission_asset=asset,
        realized_pnl=Decimal(pnl),
        is_maker=False,
        cumulative_quantity=Decimal(1),
        filled_at=at,
    )


def sample(wallet: str | Decimal, at: datetime) -> EquitySampled:
    return EquitySampled(ONE, OWNER, SampleReason.HOURLY, "USDT", Decimal(wallet), Decimal(wallet), (), at)


BEGUN: list[MoneyEvent] = [OPENED, transfer("1000")]


def found(*events: MoneyEvent) -> list[RecordReconciliation]:
    """Return everything that became known while the books ran from 1000 USDT on."""
    watch = MoneyWatch()
    return [command for event in [*BEGUN, *events] for command in reconcile(watch, event)]


def rests(*events: MoneyEvent) -> list[Decimal]:
    return [command.unexplained for command in found(*events)]


def test_sample_is_judged_when_the_next_one_arrives() -> None:
    first, second = sample("1000", NOON + HOUR), sample("1000", NOON + 2 * HOUR)
    assert found(first) == []
    assert found(first, second) == [RecordReconciliation(ONE, OWNER, Decimal(0), NOON + HOUR, NOON + 2 * HOUR)]


def test_sample_shortly_after_another_does_not_judge_it() -> None:
    first, late = sample("990", NOON + HOUR), fill("-10", "0", NOON + HOUR - SECOND)
    assert rests(first, sample("990", NOON + HOUR + SETTLED / 2), late, sample("990", NOON + 2 * HOUR)) == [0]


def test_sample_is_judged_by_one_that_comes_five_minutes_later_and_by_none_that_comes_sooner() -> None:
    first, at = sample("990", NOON + HOUR), NOON + HOUR + 5 * MINUTE
    assert rests(first, sample("990", at - SECOND)) == []
    assert rests(first, sample("990", at)) == [-10]


def test_wallet_is_not_judged_before_it_is_decided_whose_an_execution_is() -> None:
    assert MAY_BE_OURS + LOOK_AGAIN < SETTLED


def test_what_stays_the_same_is_said_once() -> None:
    assert rests(*(sample("1005", NOON + hour * HOUR) for hour in range(1, 9))) == [5]


def test_fill_that_is_written_after_its_sample_explains_it() -> None:
    at = NOON + HOUR
    assert rests(sample("1009", at), fill("10", "1", at - SECOND), sample("1009", at + HOUR)) == [0]


@pytest.mark.parametrize("in_wallet", [True, False])
@pytest.mark.parametrize("distance", [-UNSURE / 2, timedelta(), UNSURE / 2])
def test_fill_of_about_the_sample_may_be_in_it_or_not(distance: timedelta, in_wallet: bool) -> None:
    at = NOON + HOUR
    shown = "1009" if in_wallet else "1000"
    assert rests(sample(shown, at), fill("10", "1", at + distance), sample("1009", at + HOUR)) == [0]


def test_fill_well_after_the_sample_is_not_in_it() -> None:
    at = NOON + HOUR
    assert rests(sample("1009", at), fill("10", "1", at + 2 * UNSURE), sample("1009", at + HOUR)) == [9]


def test_sample_that_does_not_tell_leaves_it_to_the_next() -> None:
    at = NOON + HOUR
    lost_and_near: list[MoneyEvent] = [sample("1012", at), fill("10", "1", at), sample("1012", at + HOUR)]
    assert rests(*lost_and_near) == []
    assert rests(*lost_and_near, sample("1012", at + 2 * HOUR)) == [3]


def test_what_is_unexplained_does_not_change_with_a_fill_about_the_sample() -> None:
    at = NOON + HOUR
    quiet: list[MoneyEvent] = [sample("1003", at), sample("1003", at + HOUR)]
    assert rests(*quiet, fill("10", "1", at + HOUR), sample("1012", at + 2 * HOUR)) == [3]


def test_other_assets_do_not_count() -> None:
    events: list[MoneyEvent] = [transfer("5", NOON, "BNB"), funding("-1", NOON, "BNB"), fill("10", "0.02", NOON, "BNB")]
    assert rests(*events, sample("1010", NOON + HOUR), sample("1010", NOON + 2 * HOUR)) == [0]


def test_older_answer_that_arrives_late_is_not_judged() -> None:
    newer, older = sample("1000", NOON + 2 * HOUR), sample("77", NOON + HOUR)
    assert rests(newer, older, sample("1000", NOON + 3 * HOUR)) == [0]


def test_account_without_books_is_not_judged() -> None:
    watch = MoneyWatch()
    events: list[MoneyEvent] = [sample("1", NOON), fill("1", "0", NOON), sample("1", NOON + HOUR)]
    assert [command for event in events for command in reconcile(watch, event)] == []


def test_accounts_are_judged_apart() -> None:
    other = EquitySampled(TWO, OWNER, SampleReason.HOURLY, "USDT", Decimal(3), Decimal(3), (), NOON + 9 * HOUR)
    assert rests(sample("1000", NOON + HOUR), other) == []


def test_missing_funding_keeps_its_age_until_it_arrives() -> None:
    lost = funding("-2.5", NOON + 90 * MINUTE)
    hours = [sample("1000" if hour == 1 else "997.5", NOON + hour * HOUR) for hour in range(1, 7)]
    state, events = LEDGER.initial, list[AccountReconciled]()
    for command in found(*hours[:4], lost, *hours[4:]):
        told = LEDGER.decide(state, command)
        state = LEDGER.fold(told, state)
        events += [event for event in told if isinstance(event, AccountReconciled)]

    assert [(event.unexplained, event.unexplained_since) for event in events] == [
        (Decimal(0), None),
        (Decimal("-2.5"), NOON + 2 * HOUR),
        (Decimal(0), None),
    ]


@dataclass(frozen=True)
class Day:
    """What the exchange did in what order, and the log of it: each event as late as its lag says."""

    log: list[MoneyEvent]
    wallets: dict[datetime, Decimal]


events_of_a_day = st.lists(
    st.tuples(
        st.sampled_from(["fill", "funding", "transfer"]),
        st.integers(1, 24 * 3600),  # second of the day
        st.integers(-5000, 5000),  # cents
        st.integers(0, int(SETTLED / SECOND) - 1),  # seconds until it is written
    ),
    max_size=40,
)
samples_of_a_day = st.lists(
    st.tuples(st.integers(1, 24 * 3600), st.integers(0, int(UNSURE / SECOND) - 1)), min_size=2, max_size=20
)


def day_of(happened: list[tuple[str, int, int, int]], samples: list[tuple[int, int]]) -> Day:
    """Return a day whose wallets were read up to so many seconds before the time that the sample carries."""
    written: list[tuple[float, MoneyEvent]] = []
    for kind, second, cents, lag in happened:
        at, amount = NOON + second * SECOND, str(Decimal(cents) / 100)
        made: dict[str, MoneyEvent] = {
            "fill": fill(amount, "0.07", at),
            "funding": funding(amount, at),
            "transfer": transfer(amount, at),
        }
        written.append((second + lag, made[kind]))
    wallets = {}
    ends = [(26 * 3600, 0), (27 * 3600, 0)]
    for second, delay in [*samples, *ends]:
        moved = [
            Decimal(cents) / 100 - (Decimal("0.07") if kind == "fill" else 0)
            for kind, when, cents, _ in happened
            if when <= second - delay
        ]
        at = NOON + second * SECOND
        wallets[at] = 1000 + sum(moved, Decimal(0))
        written.append((second, sample(wallets[at], at)))
    return Day([event for _, event in sorted(written, key=lambda one: one[0])], wallets)


@given(events_of_a_day, samples_of_a_day)
def test_records_that_are_complete_explain_every_wallet_however_late(
    happened: list[tuple[str, int, int, int]], samples: list[tuple[int, int]]
) -> None:
    assert set(rests(*day_of(happened, samples).log)) == {0}


@given(events_of_a_day, samples_of_a_day, st.integers(1, 24 * 3600))
def test_one_lost_funding_record_is_missing_exactly_from_the_next_sample_on(
    happened: list[tuple[str, int, int, int]], samples: list[tuple[int, int]], second: int
) -> None:
    lost = Decimal("0.00000001")  # no other amounts add up to it
    day = day_of(happened, [(at, 0) for at, _ in samples])
    lost_at = NOON + second * SECOND
    log: list[MoneyEvent] = [
        sample(event.wallet_balance + lost, event.sampled_at)
        if isinstance(event, EquitySampled) and event.sampled_at >= lost_at
        else event
        for event in day.log
    ]
    judged = found(*log)

    assert judged[-1].unexplained == lost
    assert all(command.unexplained == (lost if command.sampled_at >= lost_at else 0) for command in judged)
    late = funding(str(lost), lost_at)
    ends = [sample(day.wallets[max(day.wallets)] + lost, NOON + hour * HOUR) for hour in (28, 29)]
    assert found(*log, late, *ends)[-1].unexplained == 0


def test_watch_forgets_what_no_later_sample_needs() -> None:
    watch = MoneyWatch()
    for event in BEGUN:
        reconcile(watch, event)
    for hour in range(1, 500):
        reconcile(watch, funding("-1", NOON + hour * HOUR - MINUTE))
        reconcile(watch, sample(str(1000 - hour), NOON + hour * HOUR))
        assert len(watch.accounts[ONE].moves) <= 2
        assert len(watch.accounts[ONE].samples) == 1


def test_every_event_of_the_policy_is_folded() -> None:
    assert set(get_args(MoneyEvent)) == {
        LedgerOpened,
        TransferRecorded,
        FundingPaid,
        OrderFilled,
        TradeBooked,
        ChargeBooked,
        EquitySampled,
    }


def test_execution_of_the_client_explains_the_wallet_and_a_booked_fill_counts_once() -> None:
    filled = fill("1.10", "0.0100", NOON + SECOND)
    theirs = TradeBooked(
        ONE, OWNER, "ETHUSDT", "7", TradeOrigin.CLIENT, Side.SELL, Decimal(2), Decimal(90), Decimal("-20"),
        Decimal("0.05"), "USDT", Decimal("0.05"), NOON + 2 * SECOND,
    )  # fmt: skip
    ours = replace(theirs, trade_id="8", origin=TradeOrigin.PATRIOT)
    rebate = ChargeBooked(
        ONE, OWNER, "API_REBATE:1", "API_REBATE", "", "USDT", Decimal("0.01"), Decimal("0.01"), NOON + 3 * SECOND
    )
    watch = MoneyWatch()
    for event in (OPENED, transfer("1000.00"), filled, ours, theirs, rebate):
        reconcile(watch, event)
    reconcile(watch, sample("981.05", NOON + HOUR))  # 1000 + 1.10 - 0.01 - 20 - 0.05 + 0.01
    (judged,) = reconcile(watch, sample("981.05", NOON + 2 * HOUR))
    assert judged.unexplained == 0


def test_watch_that_was_kept_is_the_same_and_goes_on_alike() -> None:
    watch = MoneyWatch()
    for event in (OPENED, transfer("1000.00"), sample("1000", NOON), fill("1.10", "0.0100", NOON + SECOND)):
        reconcile(watch, event)
    kept = msgspec.msgpack.decode(msgspec.msgpack.encode(watch), type=MoneyWatch)
    assert repr(kept) == repr(watch)
    later = [sample("1001.09", NOON + HOUR), sample("1005", NOON + 2 * HOUR), sample("1005", NOON + 3 * HOUR)]
    found = [reconcile(watch, event) for event in later]
    assert found[-1] != []
    assert [reconcile(kept, event) for event in later] == found
