"""What is noted once of a signal and of a position's protection."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from patriot.execution.commands import (
    CloseBracket,
    ProtectionCommand,
    RecordAdjustment,
    RecordProtected,
    RecordProtectionFailed,
    RecordRouting,
    RequestClose,
)
from patriot.execution.decider import EXECUTION, PROTECTION, Protection
from patriot.execution.events import (
    CloseRequested,
    PositionAdjusted,
    PositionClosed,
    PositionProtected,
    ProtectionFailed,
    RoutedAccount,
    Routing,
    SignalRouted,
)
from patriot.kernel.codec import EVENTS
from patriot.kernel.money import Money
from patriot.trading.terms import SignalId
from tests.orders.kit import ACCOUNT, NOON, ORDER_ID, STRATEGY, USER, D, at
from tests.scenario import Scenario

pytestmark = pytest.mark.unit

SIGNAL = SignalId(UUID(int=5))
PROTECTED = RecordProtected(ORDER_ID, ACCOUNT, "BTCUSDT", NOON, D("0.2"), at(0.2))
ASKED = RequestClose(ORDER_ID, ACCOUNT, "SIGNAL", NOON)
FAILED = RecordProtectionFailed(ORDER_ID, ACCOUNT, USER, "BTCUSDT", 3, NOON)
PAID = (Money(D("0.001"), "BNB"), Money(D(2), "USDT"))
OVER = CloseBracket(
    ORDER_ID, USER, ACCOUNT, STRATEGY, "BTCUSDT", D(1), D(40_000), D(41_000), D(1_000), PAID, "STOP", NOON, at(60)
)
CLOSED = PositionClosed(
    ORDER_ID, USER, ACCOUNT, STRATEGY, "BTCUSDT", D(1), D(40_000), D(41_000), D(1_000), PAID, "STOP", NOON, at(60)
)
ROUTED = (RoutedAccount(ACCOUNT, Routing.SENT, ORDER_ID, None, D(1)),)


def test_routing_of_a_signal_is_noted_once() -> None:
    command = RecordRouting(SIGNAL, STRATEGY, ROUTED[0], NOON)
    again = RecordRouting(SIGNAL, STRATEGY, replace(ROUTED[0], routing=Routing.SKIPPED), at(1))
    Scenario(EXECUTION).when(command, again).then(SignalRouted(SIGNAL, STRATEGY, ROUTED, NOON))


def test_each_milestone_is_noted_once() -> None:
    commands: tuple[ProtectionCommand, ...] = (PROTECTED, ASKED, FAILED, OVER)
    Scenario(PROTECTION).when(*commands, *commands).then(
        PositionProtected(ORDER_ID, ACCOUNT, "BTCUSDT", NOON, at(0.2), D("0.2")),
        CloseRequested(ORDER_ID, ACCOUNT, "SIGNAL", NOON),
        ProtectionFailed(ORDER_ID, ACCOUNT, USER, "BTCUSDT", 3, NOON),
        CLOSED,
    )


def test_position_closed_of_the_first_version_still_reads() -> None:
    first = (
        f'{{"group_id":"{ORDER_ID}","user_id":"{USER}","account_id":"{ACCOUNT}","strategy_id":"{STRATEGY}",'
        '"symbol":"BTCUSDT","quantity":"1","entry_price":"40000","exit_price":"41000","realized_pnl":"1000",'
        '"commission":"2","close_reason":"STOP","opened_at":"2030-01-02T12:00:00Z","closed_at":"2030-01-02T12:01:00Z"}'
    )
    assert EVENTS.decode("position.closed", 1, first) == replace(CLOSED, commissions=(Money(D(2), "USDT"),))
    unpaid = first.replace('"commission":"2"', '"commission":"0"')
    assert EVENTS.decode("position.closed", 1, unpaid) == replace(CLOSED, commissions=())


def test_wish_to_close_what_is_closed_is_nothing() -> None:
    Scenario(PROTECTION, CLOSED).when(ASKED).then()


def test_what_was_closed_elsewhere_is_noted_once_also_of_a_bracket_that_was_over() -> None:
    closed = Protection(closed=True, closed_elsewhere=D(1))
    again = RecordAdjustment(ORDER_ID, ACCOUNT, "BTCUSDT", D(1), D(0), D(2), NOON)

    (adjusted,) = PROTECTION.decide(closed, again)

    assert isinstance(adjusted, PositionAdjusted)
    assert PROTECTION.decide(PROTECTION.evolve(closed, adjusted), again) == []
