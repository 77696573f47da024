"""A position that differs is told once it has differed for longer than books can be apart, and then once."""

import pytest

from patriot.execution.position_check import Difference, PositionCheck
from tests.orders import kit
from tests.orders.kit import D

pytestmark = pytest.mark.unit

ENTRY = kit.created()
GONE, HALF = Difference(ENTRY, D(1), D(0)), Difference(ENTRY, D(1), D("0.5"))


def test_difference_stands_after_a_minute_and_a_quarter_and_is_told_once() -> None:
    check = PositionCheck()
    assert [check.confirmed([GONE], now) for now in (0.0, 74.9)] == [[], []]
    assert check.confirmed([GONE], 75.0) == [GONE]
    assert check.confirmed([GONE], 500.0) == []


def test_difference_that_changed_or_went_begins_anew() -> None:
    check = PositionCheck()
    assert check.confirmed([GONE], 0.0) == []
    assert check.confirmed([HALF], 74.0) == []
    assert check.confirmed([HALF], 148.0) == []
    assert check.confirmed([], 148.5) == []
    assert check.confirmed([HALF], 149.0) == []
    assert check.confirmed([HALF], 224.0) == [HALF]


def test_position_that_nothing_explains_is_told_when_it_comes_changes_and_goes() -> None:
    check = PositionCheck()
    assert check.changed({"ETHUSDT": D(2)}) == {"ETHUSDT": D(2)}
    assert check.changed({"ETHUSDT": D(2)}) == {}
    assert check.changed({"ETHUSDT": D(1), "XRPUSDT": D(-5)}) == {"ETHUSDT": D(1), "XRPUSDT": D(-5)}
    assert check.changed({"XRPUSDT": D(-5)}) == {"ETHUSDT": D(0)}
    assert check.unexplained == {"XRPUSDT": D(-5)}
