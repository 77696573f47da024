"""What anyone may read: depth, ticker, prints, listings."""

from __future__ import annotations

import pytest

from patriot.sim.engine.events import PriceMoved, VenueRefusal
from patriot.sim.engine.instruments import LISTED
from patriot.sim.engine.operations import CreateAccount, MovePrice
from patriot.sim.engine.records import Instrument
from patriot.sim.engine.venue import Venue
from patriot.sim.engine.words import Side
from tests.sim.engine.support import START_MS, SYMBOL, D, Desk, market

pytestmark = pytest.mark.integration


def test_depth_stands_around_the_last_price_and_never_crosses() -> None:
    desk = Desk()
    for price in ("40000", "40010.5", "39000", "12000"):
        desk.move(price)
        depth, ticker = desk.venue.depth(SYMBOL, 100), desk.venue.ticker(SYMBOL)
        assert ticker is not None
        bids, asks = [p for p, _ in depth.bids], [p for p, _ in depth.asks]
        assert (bids[0], asks[0]) == (ticker.bid, ticker.ask)
        assert ticker.last in (ticker.bid, ticker.ask)
        assert bids == sorted(set(bids), reverse=True)
        assert asks == sorted(set(asks))
        assert len(bids) == len(asks) == 100
        assert not any(p % D("0.1") or q % D("0.001") or q <= 0 for p, q in depth.bids + depth.asks)


def test_depth_without_a_price_is_empty() -> None:
    depth = Desk().venue.depth("ETHUSDT")

    assert (depth.bids, depth.asks) == ((), ())
    assert Desk().venue.ticker("ETHUSDT") is None


def test_market_order_meets_the_best_price_that_everyone_sees() -> None:
    desk = Desk()
    desk.do(CreateAccount(D("10000"), uid=2))
    ticker = desk.venue.ticker(SYMBOL)
    assert ticker is not None

    desk.do(market(2, Side.SELL, "0.01"))
    desk.market(Side.BUY, "0.01")

    assert (desk.venue.trades(2)[0].price, desk.venue.trades(1)[0].price) == (ticker.bid, ticker.ask)


def test_every_move_prints_the_next_trade() -> None:
    desk = Desk()
    desk.move("40001")
    desk.move("40002")

    [event] = desk.emitted
    assert isinstance(event, PriceMoved)
    assert (event.trade_id, event.ticker) == (3, desk.venue.ticker(SYMBOL))


def test_listing() -> None:
    venue = Desk().venue

    assert venue.instruments == LISTED
    assert venue.instrument(SYMBOL).tick_size == D("0.1")
    assert (venue.uids, venue.now_ms > START_MS) == ((1,), True)
    with pytest.raises(VenueRefusal, match="-1121"):
        venue.instrument("NOPE")
    with pytest.raises(VenueRefusal, match="-2013"):
        venue.algo_order(1, client_algo_id="never")


def test_time_never_runs_backwards() -> None:
    venue = Desk().venue
    now_ms = venue.now_ms

    venue.apply(MovePrice(SYMBOL, D("40001")), now_ms - 5_000)

    ticker = venue.ticker(SYMBOL)
    assert ticker is not None
    assert venue.now_ms == ticker.at_ms == now_ms


def test_instrument_whose_money_would_not_be_exact_is_refused() -> None:
    fine = Instrument("X", "X", D("0.00001"), D("0.0001"), D("1"), D("9"), D("9"), D("5"), LISTED[0].brackets)

    with pytest.raises(ValueError, match="more than 8 decimals"):
        Venue(seed=1, instruments=[fine])
