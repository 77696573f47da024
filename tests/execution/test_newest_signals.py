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


def test_answers_are_kept_by_signal_and_those_to_a_forgotten_one_are_not() -> None:
    newest, other = NewestSignals(), AccountId(UUID(int=9))
    for number in range(REMEMBERED_SIGNALS + 1):
        newest.apply(signal(number))
    newest.apply(routed(1, ACCOUNT))
    newest.apply(routed(1, other))
    newest.apply(routed(0, ACCOUNT))
    assert list(newest.signals) == [SignalId(UUID(int=number)) for number in range(1, REMEMBERED_SIGNALS + 1)]
    assert newest.answered.pop(SignalId(UUID(int=1))) == [ACCOUNT, other]
    assert set(newest.answered) == set(newest.signals) - {SignalId(UUID(int=1))}
    assert not any(newest.answered.values())
