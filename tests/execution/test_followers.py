"""Who is served by a signal, and in what turn: nobody is first more often than others."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from uuid import UUID

import pytest

from patriot.accounts.events import (
    AccountLinked,
    AccountStatus,
    AccountStatusChanged,
    AccountUnlinked,
    PositionMode,
)
from patriot.execution.followers import Follower, FollowerBook
from patriot.kernel.ids import derived_id
from patriot.strategies.events import (
    AllocationChanged,
    StrategyAssigned,
    StrategyConfigChanged,
    StrategyCreated,
    StrategyPaused,
    StrategyResumed,
    StrategyStatus,
    StrategyStopped,
    StrategyUnassigned,
)
from patriot.trading.terms import AccountId, Environment, Exchange, SignalId, StrategyId, UserId

pytestmark = pytest.mark.unit

D = Decimal
NOON = datetime(2030, 1, 2, 12, tzinfo=UTC)
STRATEGY = StrategyId(UUID(int=9))
USER = UserId(UUID(int=1))
ASSIGNMENT = UUID(int=3)


def account(number: int) -> AccountId:
    return AccountId(UUID(int=100 + number))


def book_of(count: int) -> FollowerBook:
    book = FollowerBook()
    book.apply(
        StrategyCreated(STRATEGY, "s", "ema", Exchange.BINANCE, "BTCUSDT", "15m", {}, D("0.01"), D(5), D("0.3"), NOON)
    )
    for number in range(count):
        book.apply(StrategyAssigned(STRATEGY, ASSIGNMENT, USER, account(number), D("0.5"), D(1), NOON, NOON))
    return book


def test_every_follower_is_served_once_by_every_signal() -> None:
    book = book_of(7)
    for number in range(50):
        served = [f.account_id for f in book.in_turn(STRATEGY, SignalId(derived_id("signal", number)))]
        assert sorted(served) == [account(n) for n in range(7)]


def test_same_signal_serves_in_the_same_turn_after_a_restart() -> None:
    signal = SignalId(derived_id("signal", 1))
    assert book_of(7).in_turn(STRATEGY, signal) == book_of(7).in_turn(STRATEGY, signal)


def test_each_account_is_first_about_equally_often() -> None:
    book, random = book_of(5), Random(7)
    firsts = Counter(
        book.in_turn(STRATEGY, SignalId(UUID(int=random.getrandbits(128))))[0].account_id for _ in range(5_000)
    )
    assert set(firsts) == {account(n) for n in range(5)}
    assert max(firsts.values()) - min(firsts.values()) < 250  # of 1000 expected


def test_strategy_that_nobody_follows_serves_nobody() -> None:
    assert book_of(0).in_turn(STRATEGY, SignalId(UUID(int=1))) == []
    assert FollowerBook().in_turn(STRATEGY, SignalId(UUID(int=1))) == []


def test_allocation_change_and_leaving_are_followed() -> None:
    book = book_of(2)
    book.apply(AllocationChanged(STRATEGY, ASSIGNMENT, account(0), D("0.2"), D(2), NOON))
    book.apply(StrategyUnassigned(STRATEGY, ASSIGNMENT, USER, account(1), "CLIENT", NOON))

    assert list(book.strategies[STRATEGY].followers.values()) == [
        Follower(account(0), USER, ASSIGNMENT, D("0.2"), D(2))
    ]


def test_status_and_risk_of_a_strategy_follow_its_events() -> None:
    book = book_of(1)
    for event, status in (
        (StrategyPaused(STRATEGY, "OPERATOR", NOON), StrategyStatus.PAUSED),
        (StrategyResumed(STRATEGY, NOON), StrategyStatus.ACTIVE),
        (StrategyStopped(STRATEGY, "OPERATOR", NOON), StrategyStatus.STOPPED),
    ):
        book.apply(event)
        assert book.strategies[STRATEGY].status is status

    book.apply(StrategyConfigChanged(STRATEGY, {}, D("0.02"), 2, NOON))
    assert book.strategies[STRATEGY].risk_per_trade_fraction == D("0.02")


def test_status_of_an_account_follows_its_events() -> None:
    book = FollowerBook()
    book.apply(
        AccountLinked(account(0), USER, Exchange.BINANCE, Environment.SIM, PositionMode.ONE_WAY, "USDT", 1, NOON)
    )
    assert book.accounts[account(0)] is AccountStatus.ACTIVE

    book.apply(AccountStatusChanged(account(0), USER, AccountStatus.ACTIVE, AccountStatus.SUSPENDED, "OPERATOR", NOON))
    assert book.accounts[account(0)] is AccountStatus.SUSPENDED

    book.apply(AccountUnlinked(account(0), USER, Exchange.BINANCE, "CLIENT", NOON))
    assert book.accounts[account(0)] is AccountStatus.UNLINKED
