from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.kernel.errors import InvalidInput
from patriot.risk.exposure import (
    Exposure,
    exposure_of,
    leverage,
    liquidation_distance,
    margin_usage,
    position_exposure,
    ratio_up,
    together,
    worst_loss,
)
from patriot.risk.holdings import OpenEntry, Position
from tests.risk.books import OURS, amounts, position

pytestmark = pytest.mark.unit


def exposure(*positions: Position, reserved: str = "0") -> Exposure:
    return exposure_of(map(position_exposure, positions), [OpenEntry("BTCUSDT", Decimal(reserved), OURS)])


def test_exposure_counts_both_sides_and_open_entries_on_top() -> None:
    # |2 x 100| + |-3 x 50| = 350 held, 40 reserved; net 200 - 150 = 50
    found = exposure(position("BTCUSDT", "2", "100"), position("ETHUSDT", "-3", "50"), reserved="40")
    assert (found.held, found.reserved, found.total, found.net) == amounts(350, 40, 390, 50)


def test_exposure_of_a_foreign_position_counts() -> None:
    ours = position("BTCUSDT", "2", "100")
    assert exposure(ours, position("ETHUSDT", "1", "70", strategy=None)).total == 270


def test_exposure_of_long_and_short_in_one_symbol_offsets_in_net_only() -> None:
    found = exposure(position("BTCUSDT", "2", "100"), position("BTCUSDT", "-2", "100"))
    assert (found.held, found.net) == amounts(400, 0)
    assert found.by_symbol["BTCUSDT"] == amounts(0, 400)


def test_exposure_keeps_every_digit() -> None:
    found = exposure(position("BTCUSDT", "123456789.123456789", "98765.432109876"), position("ETHUSDT", "1", "1E-15"))
    assert Fraction(found.held) == Fraction(123456789123456789 * 98765432109876, 10**18) + Fraction(1, 10**15)


def test_exposure_of_nothing_is_zero_and_has_no_shares() -> None:
    found = exposure()
    assert (found.total, found.worst_loss, found.largest) == amounts(0, 0, 0)
    assert (found.largest_share, found.concentration, found.liquidation_distance) == (None, None, None)


def test_concentration_of_sixty_thirty_and_ten_is_46_hundredths() -> None:
    # 0.6 x 0.6 + 0.3 x 0.3 + 0.1 x 0.1 = 0.46
    found = exposure(position("BTCUSDT", "60"), position("ETHUSDT", "-30"), position("SOLUSDT", "10"))
    assert found.concentration == pytest.approx(0.46)
    assert (found.largest, found.largest_share) == (Decimal(60), Decimal("0.6"))


@pytest.mark.parametrize(
    ("quantity", "entry", "stop", "mark", "loss"),
    [
        ("2", "100", "95", "110", "10"),  # long: 2 x (100 - 95)
        ("2", "100", "104", "110", "0"),  # long, its stop above the entry: a gain is locked in
        ("-2", "100", "105", "90", "10"),  # short: -2 x (100 - 105)
        ("-2", "100", "97", "90", "0"),  # short, its stop below the entry
        ("2", "100", None, "110", "22"),  # 10 % of 220
        ("-2", "100", None, "90", "18"),  # 10 % of 180
    ],
)
def test_worst_loss_is_from_entry_to_stop(quantity: str, entry: str, stop: str | None, mark: str, loss: str) -> None:
    assert worst_loss(position("BTCUSDT", quantity, mark, entry, stop)) == Decimal(loss)


@pytest.mark.parametrize(
    ("quantity", "liquidation", "distance"),
    [
        ("1", "80", "0.2"),  # (100 - 80) / 100
        ("-1", "130", "0.3"),  # (130 - 100) / 100
        ("1", "101", "-0.01"),  # past it
        ("1", "33.3333333", "0.666666"),  # 0.666666667 rounded down
        ("1", None, None),
    ],
)
def test_liquidation_distance_is_the_room_against_the_position(
    quantity: str, liquidation: str | None, distance: str | None
) -> None:
    found = liquidation_distance(position("BTCUSDT", quantity, "100", liquidation=liquidation))
    assert found == (None if distance is None else Decimal(distance))


def test_liquidation_distance_of_an_account_is_its_nearest() -> None:
    far, near = position("BTCUSDT", "1", "100", liquidation="50"), position("ETHUSDT", "-1", "100", liquidation="110")
    assert exposure(far, near, position("SOLUSDT", "1")).liquidation_distance == Decimal("0.1")


def test_leverage_and_margin_usage_never_round_a_passed_limit_away() -> None:
    assert leverage(Decimal("10000.000001"), Decimal(1000)) == Decimal("10.000001")
    assert margin_usage(Decimal("0.7000000001"), Decimal(1)) == Decimal("0.700001")
    assert leverage(Decimal(10_000), Decimal(1000)) == 10


@pytest.mark.parametrize("money", ["0", "-1"])
def test_leverage_and_margin_usage_without_money_are_undefined(money: str) -> None:
    assert leverage(Decimal(1), Decimal(money)) is None
    assert margin_usage(Decimal(1), Decimal(money)) is None


def test_position_of_nothing_is_refused() -> None:
    with pytest.raises(InvalidInput, match="quantity: expected a position, found 0 BTCUSDT"):
        position("BTCUSDT", "0")


SIZES = st.decimals("-1000", "1000", places=3).filter(bool)
HELD = st.lists(st.builds(position, st.sampled_from(["BTCUSDT", "ETHUSDT", "SOLUSDT"]), SIZES.map(str)), max_size=8)
MONEY = st.decimals("0.01", "1000000", places=6)


@given(HELD, HELD)
def test_exposures_together_are_the_exposure_of_all_positions(one: list[Position], two: list[Position]) -> None:
    parts = [exposure(*one, reserved="3"), exposure(*two, reserved="4")]
    assert together(parts) == exposure(*one, *two, reserved="7")


@given(MONEY, MONEY, st.decimals("0.1", "125", places=6))
def test_ratio_is_above_a_limit_exactly_when_the_value_is(value: Decimal, whole: Decimal, limit: Decimal) -> None:
    assert (ratio_up(value, whole) > limit) == (value > whole * limit)
