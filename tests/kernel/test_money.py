"""Money from outside, money on a grid, money of one asset."""

from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.kernel.errors import InvalidInput
from patriot.kernel.money import Money, parse_decimal, plain, round_down_to_step, round_to_cent, round_to_tick

pytestmark = pytest.mark.unit

AMOUNTS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=8)
STEPS = st.sampled_from([Decimal(step) for step in ("0.001", "0.01", "0.5", "1", "5", "0.00000001")])


@given(AMOUNTS)
def test_plain_text_of_an_amount_parses_to_the_same_amount(amount: Decimal) -> None:
    if amount.is_zero():
        amount = abs(amount)
    assert str(parse_decimal("price", plain(amount))) == str(Decimal(plain(amount)))
    assert parse_decimal("price", plain(amount)) == amount


@pytest.mark.parametrize(
    "text",
    [
        *("", " 1", "1 ", "+1", "1e400", "1E3", "NaN", "Infinity", "-", ".5", "1.", "01", "1,5", "1\n", "1\uff11"),
        *("1" * 21, "0." + "1" * 19, 1, 1.5, None, True, Decimal(1)),
    ],
)
def test_anything_else_than_a_plain_decimal_is_refused_by_name(text: object) -> None:
    with pytest.raises(InvalidInput, match=r"^price: expected") as caught:
        parse_decimal("price", text)
    assert caught.value.field == "price"


@given(st.text(max_size=30))
def test_no_text_whatever_gives_anything_but_a_finite_decimal_or_a_refusal(text: str) -> None:
    with suppress(InvalidInput):
        assert parse_decimal("price", text).is_finite()


@given(AMOUNTS, STEPS)
def test_rounding_down_stays_within_a_step_below_and_on_the_grid(amount: Decimal, step: Decimal) -> None:
    rounded = round_down_to_step(amount, step)
    assert abs(rounded) <= abs(amount) < abs(rounded) + step
    assert rounded % step == 0
    assert round_down_to_step(rounded, step) == rounded


@given(AMOUNTS, STEPS)
def test_rounding_to_tick_goes_to_the_nearest(price: Decimal, tick: Decimal) -> None:
    rounded = round_to_tick(price, tick)
    assert abs(rounded - price) * 2 <= tick
    assert rounded % tick == 0


@pytest.mark.parametrize(("value", "cents"), [("1.005", "1.00"), ("1.015", "1.02"), ("-0.005", "0.00"), ("2", "2.00")])
def test_cents_are_rounded_half_to_even(value: str, cents: str) -> None:
    assert round_to_cent(Decimal(value)) == Decimal(cents)


def test_money_of_one_asset_adds_and_subtracts() -> None:
    assert Money(Decimal("1.10"), "USDT") + Money(Decimal("2"), "USDT") == Money(Decimal("3.10"), "USDT")
    assert Money(Decimal("1.10"), "USDT") - Money(Decimal("2"), "USDT") == Money(Decimal("-0.90"), "USDT")


def test_money_of_two_assets_does_not_add() -> None:
    with pytest.raises(InvalidInput, match="expected USDT, found BTC"):
        Money(Decimal(1), "USDT") + Money(Decimal(1), "BTC")
    with pytest.raises(InvalidInput, match="expected BTC, found USDT"):
        Money(Decimal(1), "BTC") - Money(Decimal(1), "USDT")
