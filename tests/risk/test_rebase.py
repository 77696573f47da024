"""The way back from a drawdown: what two persons may decide, and what follows."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from patriot.accounts.events import EquitySampled, SampleReason, TransferRecorded
from patriot.kernel.errors import CommandRefused
from patriot.risk.commands import HaltTrading, RebasePeak, ResumeTrading
from patriot.risk.decider import RISK
from patriot.risk.events import HaltLevel, PeakRebased, ReasonCode, Scope, TradingHalted
from patriot.risk.policies import RiskWatch, WatchCommand, WatchedEvent, watch_money
from patriot.trading.terms import AccountId, UserId

pytestmark = pytest.mark.unit

NOON = datetime(2030, 1, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
USER, ACCOUNT = UserId(UUID(int=1)), AccountId(UUID(int=2))
DRAWDOWN = ReasonCode.MAX_DRAWDOWN
REBASE = RebasePeak(
    account_id=ACCOUNT,
    user_id=USER,
    old_peak=Decimal(10_000),
    new_peak=Decimal(7_900),
    reason=" the client agreed ",
    requested_by="Anna ",
    approved_by="Ben",
    measured_at=NOON,
    at=NOON + HOUR,
)
REBASED = PeakRebased(
    account_id=ACCOUNT,
    user_id=USER,
    old_peak=Decimal(10_000),
    new_peak=Decimal(7_900),
    reason="the client agreed",
    requested_by="Anna",
    approved_by="Ben",
    measured_at=NOON,
    rebased_at=NOON + HOUR,
)


def test_two_persons_rebase_a_peak_once_per_sample() -> None:
    assert RISK.decide(RISK.initial, REBASE) == [REBASED]
    after = RISK.fold([REBASED])
    assert RISK.decide(after, REBASE) == []
    later = replace(REBASE, old_peak=Decimal(7_900), new_peak=Decimal(6_000), measured_at=NOON + HOUR)
    assert len(RISK.decide(after, later)) == 1


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (replace(REBASE, approved_by="anna"), "two persons are needed"),
        (replace(REBASE, requested_by=""), "two persons are needed"),
        (replace(REBASE, reason=" "), "for a reason"),
        (replace(REBASE, new_peak=Decimal(10_000)), "below 10000, found 10000"),
        (replace(REBASE, new_peak=Decimal(0)), "above 0"),
        (replace(REBASE, new_peak=Decimal(-1)), "above 0"),
    ],
)
def test_peak_is_not_rebased_by_one_person_for_no_reason_or_from_nothing(command: RebasePeak, why: str) -> None:
    with pytest.raises(CommandRefused, match=why):
        RISK.decide(RISK.initial, command)


def sample(equity: str, at: datetime) -> EquitySampled:
    return EquitySampled(ACCOUNT, USER, SampleReason.HOURLY, "USDT", Decimal(equity), Decimal(equity), (), at)


def halted(reason: str, at: datetime = NOON) -> TradingHalted:
    return TradingHalted(Scope.ACCOUNT, str(ACCOUNT), HaltLevel.H1, reason, at)


def after(*events: WatchedEvent) -> list[WatchCommand]:
    watch, commands = RiskWatch(), list[WatchCommand]()
    for event in events:
        commands = watch_money(watch, event)
    return commands


def drawdowns(commands: list[WatchCommand]) -> list[WatchCommand]:
    return [one for one in commands if isinstance(one, HaltTrading) and one.reason_code == DRAWDOWN]


FALLEN = (sample("10000", NOON - HOUR), sample("7900", NOON))


def test_rebased_peak_lifts_the_halt_of_the_drawdown_and_no_other() -> None:
    lift = ResumeTrading(Scope.ACCOUNT, str(ACCOUNT), DRAWDOWN, NOON + HOUR)
    assert after(*FALLEN, halted(DRAWDOWN), halted("OPERATOR"), REBASED) == [lift]
    assert after(*FALLEN, halted("OPERATOR"), REBASED) == []


def test_drawdown_halts_again_from_the_new_peak_alone() -> None:
    assert drawdowns(after(*FALLEN))
    assert not drawdowns(after(*FALLEN, REBASED, sample("7900", NOON + HOUR)))
    assert not drawdowns(after(*FALLEN, REBASED, sample("6321", NOON + HOUR)))
    assert drawdowns(after(*FALLEN, REBASED, sample("6320", NOON + HOUR)))  # 20 % of 7,900


def withdrawal(amount: str, at: datetime) -> TransferRecorded:
    return TransferRecorded(ACCOUNT, USER, "t-1", "USDT", Decimal(amount), at)


def test_drawdown_that_was_a_withdrawal_told_of_late_ends_by_itself() -> None:
    standing = halted(DRAWDOWN, NOON + timedelta(seconds=1))
    told = withdrawal("-2100", NOON - HOUR / 2)
    assert after(*FALLEN, standing, told) == [ResumeTrading(Scope.ACCOUNT, str(ACCOUNT), DRAWDOWN, standing.halted_at)]


def test_transfer_lifts_no_halt_of_a_real_drawdown() -> None:
    standing = halted(DRAWDOWN)
    assert after(*FALLEN, standing, withdrawal("-50", NOON - HOUR / 2)) == []
    assert after(*FALLEN, standing, withdrawal("50000", NOON + HOUR)) == []
    recovered = sample("9900", NOON + HOUR)
    assert after(*FALLEN, standing, recovered, withdrawal("-50", NOON + HOUR / 2)) == []
