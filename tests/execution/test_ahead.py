"""Stops ahead of a position go out again soon at first, seldom later, and not for ever."""

from __future__ import annotations

from itertools import accumulate

import pytest

from patriot.execution.ahead import PAUSE_SECONDS, StopsAhead
from tests.orders.kit import ORDER_ID

pytestmark = pytest.mark.unit


def test_stops_wait_longer_with_each_that_failed_and_then_for_good() -> None:
    ahead, now = StopsAhead(), 100.0
    assert ahead.may_go(ORDER_ID, now)
    for failures, pause in enumerate(PAUSE_SECONDS, 1):
        ahead.failed(ORDER_ID, failures, now)
        assert not ahead.may_go(ORDER_ID, now + pause - 0.01)
        assert ahead.begin_to_wait(ORDER_ID, now) == pytest.approx(pause)
        assert ahead.begin_to_wait(ORDER_ID, now) is None, "somebody waits already"
        ahead.waited(ORDER_ID)
        now += pause
        assert ahead.may_go(ORDER_ID, now)
    ahead.failed(ORDER_ID, len(PAUSE_SECONDS) + 1, now)
    assert ahead.begin_to_wait(ORDER_ID, now) is None
    assert not ahead.may_go(ORDER_ID, now + 1e9)
    ahead.forget(ORDER_ID)
    assert ahead.may_go(ORDER_ID, now)


def test_six_are_tried_while_an_entry_may_still_arrive_and_twelve_within_a_minute() -> None:
    tried_after = [0.0, *accumulate(PAUSE_SECONDS)]
    assert sum(seconds < 6 for seconds in tried_after) == 6
    assert len(tried_after) == 12
    assert tried_after[-1] < 60
