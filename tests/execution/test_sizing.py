"""Sizing: never more than the risk, the allocation and the limits allow, and never rounded up."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.execution.sizing import SizingInput, entry_quantity
from patriot.trading.terms import Exchange, Instrument

pytestmark = pytest.mark.unit

D = Decimal
BTC = Instrument(
    Exchange.BINANCE, "BTCUSDT", "BTC", "USDT", D("0.1"), D("0.001"), D("0.001"), D(1000), D(120), D(100)
)  # fmt: skip
PLAIN = SizingInput(D(10_000), D("0.5"), D(1), D("0.01"), D(5), D(40_000), D(39_000), D(1_000_000))


def test_quantity_loses_the_risked_fraction_at_the_stop() -> None:
    assert entry_quantity(PLAIN, BTC) == D("0.050")  # 5000 x 1 % / 1000


@pytest.mark.parametrize(
    ("changes", "quantity"),
    [
        ({"stop_price": D(39_990)}, "0.625"),  # 5000 x 5 / 40000: the allocation is the narrower
        ({"notional_headroom": D(400)}, "0.010"),
        ({"notional_headroom": D(99)}, "0"),  # below the exchange's minimum
        ({"notional_headroom": D(-1)}, "0"),
        ({"equity": D(0)}, "0"),
        ({"equity": D(-5)}, "0"),
        ({"stop_price": D(40_000)}, "0"),
        ({"entry_price": D(0)}, "0"),
        ({"risk_multiplier": D("0.5")}, "0.025"),
        ({"equity": D(10_000_000_000), "notional_headroom": D(10**12)}, "120"),  # of one market order
    ],
)
def test_narrowest_bound_decides(changes: dict[str, Decimal], quantity: str) -> None:
    assert entry_quantity(replace(PLAIN, **changes), BTC) == D(quantity)


@pytest.mark.parametrize("scale", [D("0.00001"), D("0.001"), D(1)])
def test_what_a_coin_costs_and_how_small_an_account_is_change_nothing_in_proportion(scale: Decimal) -> None:
    coin = replace(BTC, min_notional=BTC.min_notional * scale)
    cheap = replace(PLAIN, equity=PLAIN.equity * scale, notional_headroom=PLAIN.notional_headroom * scale)
    priced = replace(cheap, entry_price=PLAIN.entry_price * scale, stop_price=PLAIN.stop_price * scale)
    assert entry_quantity(priced, coin) == D("0.050")


def test_short_loses_the_risked_fraction_at_the_stop_above_it() -> None:
    assert entry_quantity(replace(PLAIN, stop_price=D(41_000)), BTC) == D("0.050")


def test_quantity_of_exactly_the_minimum_is_ordered() -> None:
    assert entry_quantity(replace(PLAIN, notional_headroom=D(100)), replace(BTC, step_size=D("0.0025"))) == D("0.0025")
    smallest = replace(BTC, min_notional=D(1), min_quantity=D("0.050"))
    assert entry_quantity(PLAIN, smallest) == D("0.050")


amounts = st.decimals(min_value=0, max_value=10_000_000, places=2)
fractions = st.decimals(min_value="0.0001", max_value=1, places=4)
prices = st.decimals(min_value="0.1", max_value=200_000, places=1)


@given(
    st.builds(
        SizingInput, amounts, fractions, st.decimals("0.1", 3, places=1), fractions, st.decimals(1, 20, places=0),
        prices, prices, amounts,
    )
)  # fmt: skip
def test_quantity_stays_inside_every_bound(given_: SizingInput) -> None:
    quantity = entry_quantity(given_, BTC)
    notional = quantity * given_.entry_price
    allocated = given_.equity * given_.allocation_fraction
    loss = quantity * abs(given_.entry_price - given_.stop_price)

    assert quantity % BTC.step_size == 0
    assert loss <= allocated * given_.risk_per_trade_fraction * given_.risk_multiplier
    assert notional <= allocated * given_.max_leverage
    assert notional <= given_.notional_headroom
    assert quantity <= BTC.max_market_quantity
    assert quantity == 0 or (quantity >= BTC.min_quantity and notional >= BTC.min_notional)
