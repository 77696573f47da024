"""Every refusal of the engine has words of this venue, and they carry its figures."""

from decimal import Decimal

import pytest

from patriot.sim.bybit import refusals
from patriot.sim.engine import refusals as engine

pytestmark = pytest.mark.integration

ENGINE_WORDS = {name: words for name, words in vars(engine).items() if isinstance(words, engine.Words)}


def test_every_refusal_of_the_engine_is_known() -> None:
    missing = {name for name, words in ENGINE_WORDS.items() if words.code not in refusals.known_codes()}
    assert missing == set()


def test_no_code_is_known_that_the_engine_does_not_have() -> None:
    assert refusals.known_codes() == {words.code for words in ENGINE_WORDS.values()}


def test_minimum_value_of_the_engine_is_told() -> None:
    refused = refusals.of_engine(engine.BELOW_MIN_NOTIONAL.because(minimum=Decimal("5")))
    assert (refused.code, refused.message) == (110094, "Order does not meet minimum order value 5USDT")


def test_take_profit_below_the_price_of_a_long_is_told_as_such() -> None:
    refused = refusals.of_engine(engine.TAKE_PROFIT_SIDE.because(price=Decimal("39000.5"), reference=Decimal("40000")))
    expected = "TakeProfit:390005000 set for Buy position should be higher than base_price:400000000??LastPrice"
    assert (refused.code, refused.message) == (10001, expected)


def test_stop_loss_below_the_price_of_a_short_is_told_as_such() -> None:
    refused = refusals.of_engine(engine.STOP_LOSS_SIDE.because(price=Decimal("39000"), reference=Decimal("40000")))
    assert "set for Sell position should be higher than" in refused.message
