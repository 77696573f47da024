from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import msgspec
import pytest

from patriot.accounts.events import (
    AccountLinked,
    AccountReconciled,
    EquitySampled,
    PositionMode,
    SampleReason,
    TransferRecorded,
)
from patriot.risk.commands import HaltTrading, RecordViolation, ResumeTrading
from patriot.risk.events import (
    HaltLevel,
    LimitSet,
    ReasonCode,
    Scope,
    Severity,
    TradingHalted,
    TradingResumed,
)
from patriot.risk.halts import HALT
from patriot.risk.policies import RiskWatch, WatchCommand, WatchedEvent, severity, watch_money
from patriot.strategies.events import StrategyAssigned
from patriot.trading.terms import AccountId, Environment, Exchange, StrategyId, UserId

pytestmark = pytest.mark.unit

NOON = datetime(2030, 1, 2, 12, tzinfo=UTC)
DAILY_LOSS = ReasonCode.DAILY_LOSS
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
USER, ACCOUNT = UserId(UUID(int=1)), AccountId(UUID(int=2))


def sample(equity: str, at: datetime = NOON) -> EquitySampled:
    return EquitySampled(ACCOUNT, USER, SampleReason.HOURLY, "USDT", Decimal(equity), Decimal(equity), (), at)


def after(*events: WatchedEvent) -> list[WatchCommand]:
    """Return what the last event sets off."""
    watch, commands = RiskWatch(), list[WatchCommand]()
    for event in events:
        commands = watch_money(watch, event)
    return commands


def halted(reason: str, at: datetime) -> TradingHalted:
    return TradingHalted(Scope.USER, str(USER), HaltLevel.H1, reason, at)


def test_loss_within_the_limits_sets_nothing_off() -> None:
    assert after(sample("1000"), sample("951", NOON + HOUR)) == []


def test_daily_loss_halts_the_user_and_records_the_violation() -> None:
    later = NOON + HOUR
    assert after(sample("1000"), sample("950", later)) == [
        HaltTrading(Scope.USER, str(USER), HaltLevel.H1, DAILY_LOSS, later),
        RecordViolation(ACCOUNT, USER, ReasonCode.DAILY_LOSS, Severity.HIGH, Decimal("0.05"), Decimal("0.05"), later),
    ]


def test_drawdown_over_days_halts_the_account() -> None:
    midnight = NOON + 12 * HOUR
    fall = [sample(str(1000 - 45 * day), midnight + day * DAY) for day in range(6)]
    commands = after(*fall)
    assert commands[0] == HaltTrading(
        Scope.ACCOUNT, str(ACCOUNT), HaltLevel.H1, ReasonCode.MAX_DRAWDOWN, midnight + 5 * DAY
    )
    assert isinstance(commands[1], RecordViolation)
    assert commands[1].current_value == Decimal("0.225")


def test_stricter_limit_of_the_client_counts() -> None:
    stricter = LimitSet(Scope.USER, str(USER), "max_daily_loss_fraction", Decimal("0.01"), NOON)
    assert len(after(stricter, sample("1000"), sample("990", NOON + HOUR))) == 2


def test_withdrawal_sets_nothing_off() -> None:
    out = TransferRecorded(ACCOUNT, USER, "t-1", "USDT", Decimal(-900), NOON + HOUR)
    assert after(sample("1000"), out) == []
    assert after(sample("1000"), out, sample("100", NOON + 2 * HOUR)) == []


@pytest.mark.parametrize(("amount", "left"), [("-7000", "2670"), ("-9000", "670"), ("10000", "19670")])
def test_loss_within_the_limits_stays_within_them_whatever_flows(amount: str, left: str) -> None:
    flow = TransferRecorded(ACCOUNT, USER, "t-1", "USDT", Decimal(amount), NOON + 2 * HOUR)
    assert after(sample("10000"), sample("9670", NOON + HOUR), flow, sample(left, NOON + 2 * HOUR)) == []


def test_deposit_dilutes_no_loss() -> None:
    deposit = TransferRecorded(ACCOUNT, USER, "t-1", "USDT", Decimal(90_000), NOON + HOUR)
    commands = after(sample("10000"), sample("9500", NOON), deposit, sample("99500", NOON + HOUR))
    assert [type(command) for command in commands] == [HaltTrading, RecordViolation]


def test_daily_loss_halt_ends_with_the_first_sample_of_the_next_day() -> None:
    standing = halted(DAILY_LOSS, NOON + HOUR)
    midnight = NOON + 12 * HOUR
    assert after(sample("1000"), standing, sample("960", midnight - HOUR)) == []
    assert after(sample("1000"), standing, sample("940", midnight)) == [
        ResumeTrading(Scope.USER, str(USER), DAILY_LOSS, midnight)
    ]


def test_halt_of_a_person_does_not_end_with_the_day() -> None:
    assert after(sample("1000"), halted("OPERATOR", NOON), sample("1000", NOON + DAY)) == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0.03", Severity.LOW),
        ("0.04", Severity.MEDIUM),
        ("0.05", Severity.HIGH),
        ("0.075", Severity.CRITICAL),
    ],
)
def test_severity_grows_with_the_distance_to_the_limit(value: str, expected: Severity) -> None:
    assert severity(Decimal(value), Decimal("0.05")) is expected


def reconciled(unexplained: str, at: datetime = NOON) -> AccountReconciled:
    amount = Decimal(unexplained)
    return AccountReconciled(ACCOUNT, USER, amount, at if amount else None, at)


UNEXPLAINED = ReasonCode.UNEXPLAINED_MONEY


@pytest.mark.parametrize(
    ("equity", "unexplained", "halts"),
    [
        ("100000", "50", False),
        ("100000", "50.01", True),
        ("100000", "-50.01", True),
        ("1000", "10", False),
        ("1000", "-10.01", True),
        ("0", "0.01", True),
        ("1000", "0", False),
    ],
)
def test_money_that_nothing_explains_halts_the_account_above_a_threshold(
    equity: str, unexplained: str, halts: bool
) -> None:
    halt = HaltTrading(Scope.ACCOUNT, str(ACCOUNT), HaltLevel.H1, UNEXPLAINED, NOON)
    assert after(sample(equity), reconciled(unexplained)) == ([halt] if halts else [])


def test_unexplained_money_before_the_first_sample_is_measured_in_quote_asset() -> None:
    assert after(reconciled("50")) == []
    assert len(after(reconciled("51"))) == 1


def test_halt_for_unexplained_money_ends_when_all_is_explained() -> None:
    standing = TradingHalted(Scope.ACCOUNT, str(ACCOUNT), HaltLevel.H1, UNEXPLAINED, NOON)
    assert after(sample("1000"), standing, reconciled("1", NOON + HOUR)) == []
    assert after(sample("1000"), standing, reconciled("0", NOON + HOUR)) == [
        ResumeTrading(Scope.ACCOUNT, str(ACCOUNT), UNEXPLAINED, NOON + HOUR)
    ]


def test_halt_of_a_person_stays_when_money_is_explained() -> None:
    standing = TradingHalted(Scope.ACCOUNT, str(ACCOUNT), HaltLevel.H1, "OPERATOR", NOON)
    assert after(standing, reconciled("0", NOON + HOUR)) == []
    halt = HALT.fold([standing, replace(standing, reason_code=UNEXPLAINED)])
    lifted = HALT.decide(halt, ResumeTrading(Scope.ACCOUNT, str(ACCOUNT), UNEXPLAINED, NOON + HOUR))
    assert list(HALT.fold(lifted, halt).standing) == ["OPERATOR"]


def test_watch_that_was_kept_is_the_same_and_goes_on_alike() -> None:
    strategy = StrategyId(UUID(int=3))
    watch = RiskWatch()
    for event in (
        AccountLinked(ACCOUNT, USER, Exchange.BINANCE, Environment.SIM, PositionMode.ONE_WAY, "USDT", 1, NOON),
        LimitSet(Scope.GLOBAL, "", "max_total_exposure", Decimal("1.50"), NOON),
        LimitSet(Scope.USER, str(USER), "max_daily_loss_fraction", Decimal("0.0100"), NOON),
        StrategyAssigned(strategy, UUID(int=30), USER, ACCOUNT, Decimal("0.5"), Decimal(1), NOON, NOON),
        sample("1000.10"),
        TransferRecorded(ACCOUNT, USER, "T:1", "USDT", Decimal("-10.00"), NOON + HOUR),
        halted(DAILY_LOSS, NOON),
        halted("OPERATOR", NOON),
        TradingResumed(Scope.USER, str(USER), "OPERATOR", NOON + HOUR),
    ):
        watch.apply(event)
    state = msgspec.msgpack.encode(watch)
    kept = msgspec.msgpack.decode(state, type=RiskWatch)
    assert kept == watch
    assert msgspec.msgpack.encode(kept) == state  # to the last digit
    falling = sample("900", NOON + DAY), sample("850", NOON + DAY + HOUR)
    assert [watch_money(kept, event) for event in falling] == [watch_money(watch, event) for event in falling]
    assert kept == watch
