"""A start finds which accounts have told what became of the newest signals, and nothing of older ones."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import pytest

from patriot.execution.events import RoutedAccount, Routing, SignalRouted
from patriot.execution.newest_signals import REMEMBERED, NewestSignals
from patriot.strategies.events import SignalAction, SignalGenerated
from patriot.trading.terms import AccountId, Exchange, SignalId
from tests.orders.kit import ACCOUNT, NOON, STRATEGY, D

pytestmark = pytest.mark.unit


OTHER, LATER = AccountId(UUID(int=9)), AccountId(UUID(int=10))


def signal(number: int, at: datetime = NOON) -> SignalGenerated:
    prices = (D(40_000), D(39_000), None)
    return SignalGenerated(
        SignalId(UUID(int=number)), STRATEGY, Exchange.BINANCE, "BTCUSDT", SignalAction.BUY, *prices, D(1), {}, at,
        at, at,
    )  # fmt: skip


def routed(number: int, account_id: AccountId) -> SignalRouted:
    share = RoutedAccount(account_id, Routing.SKIPPED, None, "HALTED", None)
    return SignalRouted(SignalId(UUID(int=number)), STRATEGY, (share,), NOON)


def test_who_followed_and_told_nothing_is_kept_by_signal() -> None:
    newest = NewestSignals()
    for number in (1, 2):
        newest.apply(signal(number), [ACCOUNT, OTHER])
    newest.apply(routed(1, ACCOUNT), [ACCOUNT, OTHER, LATER])
    assert newest.unanswered == {SignalId(UUID(int=1)): [OTHER], SignalId(UUID(int=2)): [ACCOUNT, OTHER]}
    assert set(newest.signals) == set(newest.unanswered)


def test_signals_are_forgotten_once_all_have_told_or_nobody_followed() -> None:
    newest = NewestSignals()
    newest.apply(signal(1), [ACCOUNT, OTHER])
    newest.apply(signal(2), [])
    newest.apply(routed(1, OTHER), [ACCOUNT, OTHER])
    newest.apply(routed(1, ACCOUNT), [ACCOUNT, OTHER])
    newest.apply(routed(1, ACCOUNT), [ACCOUNT, OTHER])
    assert (newest.signals, newest.unanswered) == ({}, {})


def test_signal_is_overtaken_by_the_next_one_of_its_strategy() -> None:
    newest = NewestSignals()
    newest.apply(signal(1), [ACCOUNT])
    assert not newest.overtaken(signal(1))
    newest.apply(signal(2), [])
    assert newest.overtaken(signal(1))
    assert not newest.overtaken(signal(2))


def test_signals_are_kept_by_time_however_many_come_together() -> None:
    newest = NewestSignals()
    for number in range(100):
        newest.apply(signal(number), [ACCOUNT])
    newest.apply(signal(100, NOON + REMEMBERED), [ACCOUNT])
    assert len(newest.signals) == 101
    newest.apply(signal(101, NOON + REMEMBERED + timedelta(seconds=1)), [ACCOUNT])
    assert set(newest.signals) == set(newest.unanswered) == {SignalId(UUID(int=100)), SignalId(UUID(int=101))}
