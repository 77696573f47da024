from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.risk.commands import HaltCommand, HaltTrading, ResumeTrading
from patriot.risk.events import HaltEvent, HaltLevel, ReasonCode, Scope, TradingHalted, TradingResumed
from patriot.risk.halts import HALT, HaltBook
from patriot.trading.terms import AccountId, StrategyId, UserId

pytestmark = pytest.mark.unit

NOON = datetime(2030, 1, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
USER, ACCOUNT, STRATEGY = UserId(UUID(int=1)), AccountId(UUID(int=2)), StrategyId(UUID(int=3))
PERSON = "OPERATOR"
DAILY_LOSS, FEE = ReasonCode.DAILY_LOSS, ReasonCode.FEE_OVERDUE


def halt(level: HaltLevel, at: datetime = NOON, reason: str = PERSON) -> HaltTrading:
    return HaltTrading(Scope.USER, str(USER), level, reason, at)


def resume(at: datetime = NOON, reason: str = PERSON) -> ResumeTrading:
    return ResumeTrading(Scope.USER, str(USER), reason, at)


def halted(level: HaltLevel, at: datetime = NOON, reason: str = PERSON) -> TradingHalted:
    return TradingHalted(Scope.USER, str(USER), level, reason, at)


def after(*commands: HaltCommand) -> list[HaltEvent]:
    events: list[HaltEvent] = []
    for command in commands:
        events += HALT.decide(HALT.fold(events), command)
    return events


def test_halt_is_raised_once() -> None:
    assert after(halt(HaltLevel.H2), halt(HaltLevel.H2)) == [halted(HaltLevel.H2)]


def test_halt_only_rises() -> None:
    events = after(halt(HaltLevel.H1), halt(HaltLevel.H3), halt(HaltLevel.H2))
    assert events == [halted(HaltLevel.H1), halted(HaltLevel.H3)]


def test_resume_lifts_a_halt_once_and_it_can_be_raised_again() -> None:
    events = after(halt(HaltLevel.H3), resume(), resume(), halt(HaltLevel.H1))
    assert [type(event) for event in events] == [TradingHalted, TradingResumed, TradingHalted]


def test_resume_of_what_trades_changes_nothing() -> None:
    assert after(resume()) == []


def test_halt_in_the_same_instant_as_a_resume_is_not_lost() -> None:
    assert after(halt(HaltLevel.H1), resume(), halt(HaltLevel.H3))[-1] == halted(HaltLevel.H3)


def test_halt_asked_for_before_the_resume_changes_nothing() -> None:
    assert len(after(halt(HaltLevel.H1), resume(NOON + HOUR), halt(HaltLevel.H1, NOON))) == 2


def test_resume_asked_for_before_the_halt_changes_nothing() -> None:
    assert len(after(halt(HaltLevel.H1, NOON + HOUR), resume(NOON))) == 1


def test_rule_lifts_what_it_raised_and_nothing_else() -> None:
    assert len(after(halt(HaltLevel.H1, reason=DAILY_LOSS), resume(reason=DAILY_LOSS))) == 2
    assert len(after(halt(HaltLevel.H1), resume(reason=DAILY_LOSS))) == 1
    assert len(after(halt(HaltLevel.H1, reason=ReasonCode.FEE_OVERDUE), resume(reason=DAILY_LOSS))) == 1


def test_scope_trades_again_when_no_reason_is_left() -> None:
    raised = (halt(HaltLevel.H1, reason=DAILY_LOSS), halt(HaltLevel.H3), halt(HaltLevel.H1, reason=FEE))
    assert HALT.fold(after(*raised)).level is HaltLevel.H3
    assert HALT.fold(after(*raised, resume(reason=DAILY_LOSS))).level is HaltLevel.H3
    assert HALT.fold(after(*raised, resume(reason=DAILY_LOSS), resume(reason=FEE))).level is HaltLevel.H3


def test_person_lifts_everything_that_stands() -> None:
    raised = (halt(HaltLevel.H1, reason=DAILY_LOSS), halt(HaltLevel.H3), halt(HaltLevel.H1, reason=FEE))
    assert HALT.fold(after(*raised, resume())).level is None


def test_halt_raised_late_for_a_reason_that_was_never_lifted_is_not_lost() -> None:
    events = after(halt(HaltLevel.H1), resume(NOON + HOUR), halt(HaltLevel.H1, NOON, reason=FEE))
    assert HALT.fold(events).level is HaltLevel.H1


@pytest.mark.parametrize(
    ("scope", "reference"),
    [
        (Scope.GLOBAL, ""),
        (Scope.USER, str(USER)),
        (Scope.ACCOUNT, str(ACCOUNT)),
        (Scope.STRATEGY, str(STRATEGY)),
    ],
)
def test_halt_of_every_scope_covers_the_entry(scope: Scope, reference: str) -> None:
    book = HaltBook(ready=True)
    assert book.level_for(USER, ACCOUNT, STRATEGY) is None
    book.apply(TradingHalted(scope, reference, HaltLevel.H2, PERSON, NOON))
    assert book.level_for(USER, ACCOUNT, STRATEGY) is HaltLevel.H2
    book.apply(TradingResumed(scope, reference, PERSON, NOON))
    assert book.level_for(USER, ACCOUNT, STRATEGY) is None


def test_halt_of_somebody_else_does_not_cover_the_entry() -> None:
    book = HaltBook(ready=True)
    for scope in (Scope.USER, Scope.ACCOUNT, Scope.STRATEGY):
        book.apply(TradingHalted(scope, str(UUID(int=9)), HaltLevel.H3, PERSON, NOON))
    assert book.level_for(USER, ACCOUNT, STRATEGY) is None
    assert book.level_for(None, ACCOUNT, None) is None


def test_strongest_halt_counts() -> None:
    book = HaltBook(ready=True)
    book.apply(TradingHalted(Scope.GLOBAL, "", HaltLevel.H1, PERSON, NOON))
    book.apply(TradingHalted(Scope.ACCOUNT, str(ACCOUNT), HaltLevel.H3, PERSON, NOON))
    assert book.level_for(USER, ACCOUNT, STRATEGY) is HaltLevel.H3


def test_copy_that_is_not_ready_refuses_entries() -> None:
    book = HaltBook()
    assert book.level_for(USER, ACCOUNT, STRATEGY) is HaltLevel.H1
    book.apply(TradingHalted(Scope.GLOBAL, "", HaltLevel.H2, PERSON, NOON))
    assert book.level_for(USER, ACCOUNT, STRATEGY) is HaltLevel.H2


commands = st.builds(halt, st.sampled_from(list(HaltLevel)), reason=st.sampled_from([PERSON, DAILY_LOSS])) | st.builds(
    resume, reason=st.sampled_from([PERSON, DAILY_LOSS])
)


@given(st.lists(commands, max_size=20))
def test_level_never_falls_without_a_resume_and_repeats_change_nothing(sequence: list[HaltCommand]) -> None:
    events: list[HaltEvent] = []
    for number, command in enumerate(sequence):
        command = replace(command, at=NOON + number * HOUR)
        before = HALT.fold(events)
        new = HALT.decide(before, command)
        events += new
        state = HALT.fold(events)
        if isinstance(command, HaltTrading):
            assert state.level is not None
            assert state.level >= command.level
            assert before.level is None or state.level >= before.level
        assert HALT.decide(state, command) == []
