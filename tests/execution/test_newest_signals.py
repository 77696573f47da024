"""A start finds which accounts have told what became of the newest signals, and nothing of older ones."""

from __future__ import annotations

from uuid import UUID

import pytest

from patriot.execution.events import RoutedAccount, Routing, SignalRouted
from patriot.execution.newest_signals import REMEMBERED_SIGNALS, NewestSignals
from patriot.strategies.events import SignalAction, SignalGenerated
from patriot.trading.terms import AccountId, Exchange, SignalId
from tests.orders.kit import ACCOUNT, NOON, STRATEGY, D

pytestmark = pytest.mark.unit


def signal(number: int) -> SignalGenerated:
    prices = (D(40_000), D(39_000), None)
    return SignalGenerated(
        SignalId(UUID(int=number)), STRATEGY, Exchange.BINANCE, "BTCUSDT", SignalAction.BUY, *prices, D(1), {}, NOON,
        NOON, NOON,
    )  # fmt: skip


def routed(number: int, account_id: AccountId) -> SignalRouted:
    share = RoutedAccount(account_id, Routing.SKIPPED, None, "HALTED", None)
    return SignalRouted(SignalId(UUID(int=number)), STRATEGY, (share,), NOON)


def test_who_followed_and_told_nothing_is_kept_by_signal_for_the_newest() -> None:
    newest, other, later = NewestSignals(), AccountId(UUID(int=9)), AccountId(UUID(int=10))
    for number in range(REMEMBERED_SIGNALS + 1):
        newest.apply(signal(number), [ACCOUNT, other])
    newest.apply(routed(1, ACCOUNT), [ACCOUNT, other, later])
    newest.apply(routed(0, ACCOUNT), [ACCOUNT, other, later])
    assert list(newest.signals) == [SignalId(UUID(int=number)) for number in range(1, REMEMBERED_SIGNALS + 1)]
    assert newest.unanswered.pop(SignalId(UUID(int=1))) == [other]
    assert set(newest.unanswered) == set(newest.signals) - {SignalId(UUID(int=1))}
    assert all(left == [ACCOUNT, other] for left in newest.unanswered.values())
