"""A signal that a follower never heard of is found, and so is an entry that nobody sent."""

from dataclasses import replace
from decimal import Decimal

import pytest

from patriot.execution.events import RoutedAccount, Routing, SignalRouted
from patriot.judge.case import Case
from patriot.judge.log_evidence import LogEvidence
from patriot.judge.routing import signals_reached_followers
from patriot.kernel.eventstore import Place
from patriot.orders.events import OrderApproved, OrderDenied
from patriot.risk.events import ReasonCode
from patriot.strategies.events import (
    SignalAction,
    SignalGenerated,
    StrategyAssigned,
    StrategyCreated,
    StrategyUnassigned,
)
from patriot.trading.terms import AccountId, Exchange, Leg, OrderId, SignalId
from tests.judge.cases import ENTRY_ID, intent
from tests.portfolio.facts import ALICE, ALICES, BOB, BOBS, NOON, TREND, group, order_id

pytestmark = pytest.mark.unit

SIGNAL = SignalId(group(77))
PLACE = Place("signal")
CREATED = StrategyCreated(
    TREND,
    "trend",
    "ema_cross",
    Exchange.BINANCE,
    "BTCUSDT",
    "15m",
    {},
    Decimal("0.01"),
    Decimal(3),
    Decimal("0.3"),
    NOON,
)
ALICE_FOLLOWS, BOB_FOLLOWS = (
    StrategyAssigned(TREND, group(number), user, account, Decimal("0.5"), Decimal(1), NOON, NOON)
    for number, user, account in ((91, ALICE, ALICES), (92, BOB, BOBS))
)
SIGNALED = SignalGenerated(
    SIGNAL, TREND, Exchange.BINANCE, "BTCUSDT", SignalAction.BUY, Decimal(100), Decimal(90), None, Decimal(1), {},
    NOON, NOON, NOON,
)  # fmt: skip
ENTRY = replace(intent(Leg.ENTRY), signal_id=SIGNAL)
APPROVED = OrderApproved(ENTRY.order_id)
SENT = RoutedAccount(ALICES, Routing.SENT, ENTRY.order_id, None, Decimal(2))
SKIPPED = RoutedAccount(BOBS, Routing.SKIPPED, None, ReasonCode.ACCOUNT_NOT_ACTIVE, None)


def share(routed: RoutedAccount) -> SignalRouted:
    return SignalRouted(SIGNAL, TREND, (routed,), NOON)


BEFORE: list[object] = [CREATED, ALICE_FOLLOWS, BOB_FOLLOWS, SIGNALED]
SOUND = [*BEFORE, ENTRY, APPROVED, share(SENT), share(SKIPPED)]


def case(events: list[object]) -> Case:
    log = LogEvidence()
    for event in events:
        log.take(event, PLACE)
    return Case(log, {}, {})


def nothing_said(account_id: AccountId) -> str:
    return f"signal {SIGNAL}: nothing says what became of it on account {account_id}"


def test_signal_with_an_answer_for_every_follower_is_sound() -> None:
    assert signals_reached_followers(case(SOUND)) == []
    assert signals_reached_followers(case([*BEFORE, SignalRouted(SIGNAL, TREND, (SENT, SKIPPED), NOON)])) == []


def test_follower_that_was_left_out_is_named() -> None:
    assert signals_reached_followers(case(SOUND[:-1])) == [nothing_said(BOBS)]


def test_signal_without_any_record_leaves_out_everybody_and_its_entry() -> None:
    found = signals_reached_followers(case([*BEFORE, ENTRY, APPROVED]))

    assert set(found) == {nothing_said(ALICES), nothing_said(BOBS), f"{ENTRY_ID}: an entry that was never routed"}


def test_followers_are_those_of_the_moment_of_the_signal() -> None:
    left = StrategyUnassigned(TREND, group(92), BOB, BOBS, "LEFT", NOON)

    assert signals_reached_followers(case([CREATED, ALICE_FOLLOWS, SIGNALED, BOB_FOLLOWS, share(SENT)])) == []
    assert signals_reached_followers(case([*SOUND[:-1], left])) == [nothing_said(BOBS)]


def test_signal_that_waits_to_be_routed_is_not_missed_yet() -> None:
    waiting = case([*BEFORE, ENTRY, APPROVED])

    assert signals_reached_followers(waiting, handled=lambda place: place != PLACE) == []


@pytest.mark.parametrize(
    "wrong",
    [
        RoutedAccount(ALICES, Routing.SKIPPED, None, ReasonCode.SIGNAL_EXPIRED, None),
        RoutedAccount(ALICES, Routing.DENIED, ENTRY.order_id, ReasonCode.HALTED, None),
        replace(SENT, order_id=OrderId(group(5))),
    ],
    ids=["skipped", "denied", "another order"],
)
def test_entry_that_went_out_and_is_recorded_otherwise_is_found(wrong: RoutedAccount) -> None:
    (problem,) = signals_reached_followers(case([*BEFORE, ENTRY, APPROVED, share(wrong), share(SKIPPED)]))

    assert problem == f"{ENTRY_ID}: an entry that went out, recorded as {wrong.routing}"


def test_refused_entry_that_is_recorded_as_sent_is_found() -> None:
    denied = OrderDenied(order_id(1), ALICES, ReasonCode.HALTED, None, None)

    (problem,) = signals_reached_followers(case([*BEFORE, ENTRY, denied, share(SENT), share(SKIPPED)]))

    assert problem == f"{ENTRY_ID}: refused by risk, and recorded as sent"


def test_entry_of_a_signal_that_the_log_has_lost_is_found() -> None:
    without_signal = [event for event in SOUND if event is not SIGNALED]

    assert signals_reached_followers(case(without_signal)) == [
        f"{ENTRY_ID}: an entry of a signal that the log does not hold"
    ]


def test_strategy_whose_creation_the_log_has_lost_does_not_end_the_judgment() -> None:
    assert signals_reached_followers(case([event for event in SOUND if event is not CREATED])) == []
