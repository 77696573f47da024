"""Accounts behind one address are looked at in turn."""

from __future__ import annotations

from collections import Counter
from uuid import UUID, uuid5

import pytest

from patriot.execution.turns import HOLDING_SECONDS, IDLE_SECONDS, Turns
from patriot.trading.terms import AccountId

pytestmark = pytest.mark.unit

NAMESPACE = UUID(int=1)


@pytest.mark.parametrize(("holding", "seconds"), [(True, HOLDING_SECONDS), (False, IDLE_SECONDS)])
def test_each_account_has_its_turn_as_often_and_few_have_it_together(*, holding: bool, seconds: float) -> None:
    looks: Counter[int] = Counter()
    for number in range(100):
        turns, looked_at = Turns(AccountId(uuid5(NAMESPACE, str(number)))), 1_000.0
        for moment in range(1_001, 1_001 + 2 * int(seconds)):
            if turns.has_come(looked_at, float(moment), holding=holding):
                looks[moment] += 1
                looked_at = float(moment)
    assert looks.total() == 200
    assert max(looks.values()) <= max(10, 300 // seconds)
