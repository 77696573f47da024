"""What the venues list: a hundred perpetuals each, on grids that the engine takes, with their own fees."""

from decimal import Decimal
from itertools import pairwise

import pytest

from patriot.sim.engine.venue import Venue
from patriot.sim.exchange import VenueName
from patriot.sim.listing import listed, model_price, model_volume

pytestmark = pytest.mark.integration

VENUES = pytest.mark.parametrize("venue", VenueName)


@VENUES
def test_every_venue_lists_a_hundred_perpetuals_that_its_engine_takes(venue: VenueName) -> None:
    instruments = listed(venue)

    assert len({instrument.symbol for instrument in instruments}) == 100
    assert len(Venue(seed=7, instruments=instruments).instruments) == 100
    assert [instrument.symbol for instrument in instruments] == [one.symbol for one in listed(VenueName.BINANCE)]


@VENUES
def test_filters_are_on_their_own_grids(venue: VenueName) -> None:
    for instrument in listed(venue):
        step, tick = instrument.step_size, instrument.tick_size
        assert instrument.symbol == f"{instrument.base_asset}USDT"
        assert instrument.min_quantity % step == instrument.max_quantity % step == 0
        assert instrument.min_quantity < instrument.market_max_quantity <= instrument.max_quantity
        assert instrument.min_price < model_price(instrument.symbol) < instrument.max_price
        assert model_price(instrument.symbol) % tick == 0
        assert model_volume(instrument.symbol) > 0


@VENUES
def test_brackets_ask_for_more_margin_the_larger_a_position_is(venue: VenueName) -> None:
    for instrument in listed(venue):
        brackets = instrument.brackets
        assert brackets[0].notional_floor == 0
        for smaller, larger in pairwise(brackets):
            assert larger.notional_floor == smaller.notional_cap
            assert larger.initial_leverage < smaller.initial_leverage
            assert larger.maintenance_ratio > smaller.maintenance_ratio
        for bracket in brackets:
            assert bracket.maintenance_ratio < Decimal(1) / bracket.initial_leverage


def test_fees_and_smallest_orders_are_each_venue_s_own() -> None:
    fees = {venue: {(one.taker_fee_rate, one.maker_fee_rate) for one in listed(venue)} for venue in VenueName}
    smallest = {venue: {one.min_notional for one in listed(venue)} for venue in VenueName}

    assert fees[VenueName.BINANCE] == {(Decimal("0.0005"), Decimal("0.0002"))}
    assert fees[VenueName.BYBIT] == {(Decimal("0.00055"), Decimal("0.0002"))}
    assert smallest[VenueName.BINANCE] == {Decimal(5), Decimal(20), Decimal(100)}
    assert smallest[VenueName.BYBIT] == {Decimal(5)}
