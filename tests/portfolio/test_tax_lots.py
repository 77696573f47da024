import csv
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.portfolio.tax_lots import COLUMNS, Fill, OpenLot, TaxLot, tax_lots, tax_lots_csv
from patriot.portfolio.valuation import AccountBook
from patriot.trading.terms import Side
from tests.portfolio.facts import filled, transfer

pytestmark = pytest.mark.unit

START = datetime(2030, 1, 1, tzinfo=UTC)


def moment(hours: int) -> datetime:
    return START + timedelta(hours=hours)


def fill(
    hours: int, side: Side, quantity: str, price: str, fee: str = "0", trade: str = "1", symbol: str = "BTC"
) -> Fill:
    return Fill(moment(hours), trade, symbol, side, Decimal(quantity), Decimal(price), Decimal(fee))


def amounts(lot: TaxLot) -> tuple[Decimal, ...]:
    return lot.quantity, lot.proceeds, lot.cost, lot.fee, lot.gain


def decimals(*texts: str) -> tuple[Decimal, ...]:
    return tuple(Decimal(text) for text in texts)


def test_oldest_lot_is_disposed_first_worked_out_by_hand() -> None:
    # bought 2 at 100 (fee 0.2) and 1 at 110 (fee 0.11); sold 2.5 at 120 (fee 0.3)
    #   2 of the first: 240 - 200 - fee 0.2 - 0.3 x 2/2.5 = 0.24: gain 39.56
    #   0.5 of the second: 60 - 55 - fee 0.11 x 0.5/1 = 0.055 - 0.3 x 0.5/2.5 = 0.06: gain 4.885
    found = tax_lots(
        [
            fill(0, Side.BUY, "2", "100", "0.2"),
            fill(1, Side.BUY, "1", "110", "0.11"),
            fill(2, Side.SELL, "2.5", "120", "0.3"),
        ]
    )
    first, second = found.disposed
    assert amounts(first) == decimals("2", "240", "200", "0.44", "39.56")
    assert amounts(second) == decimals("0.5", "60", "55", "0.115", "4.885")
    assert (first.acquired, second.acquired, first.disposed, second.disposed) == (
        moment(0),
        moment(1),
        moment(2),
        moment(2),
    )
    assert found.held == (OpenLot(moment(1), "BTC", Side.BUY, Decimal("0.5"), Decimal(110), Decimal("0.055")),)


def test_lot_that_is_disposed_in_part_stays_the_oldest() -> None:
    bought = [fill(0, Side.BUY, "2", "100"), fill(1, Side.BUY, "1", "110")]
    found = tax_lots([*bought, *(fill(hours, Side.SELL, "1", "120") for hours in (2, 3, 4))])
    assert [lot.cost for lot in found.disposed] == [100, 100, 110]


def test_short_is_sold_first_and_bought_back() -> None:
    # sold 1 at 100, bought back at 90: proceeds 100, cost 90, fees 0.1 + 0.09
    found = tax_lots([fill(0, Side.SELL, "1", "100", "0.1"), fill(5, Side.BUY, "1", "90", "0.09")])
    (lot,) = found.disposed
    assert (lot.side, lot.acquired, lot.disposed) == (Side.SELL, moment(0), moment(5))
    assert amounts(lot) == decimals("1", "100", "90", "0.19", "9.81")
    assert found.held == ()


def test_fill_that_turns_a_position_around_closes_all_and_opens_the_rest() -> None:
    # sold 3 at 110 with a fee of 0.3: 1 closes the long (0.1 of it), 2 open a short (0.2 of it)
    found = tax_lots([fill(0, Side.BUY, "1", "100"), fill(1, Side.SELL, "3", "110", "0.3")])
    assert [amounts(lot) for lot in found.disposed] == [decimals("1", "110", "100", "0.1", "9.9")]
    assert found.held == (OpenLot(moment(1), "BTC", Side.SELL, Decimal(2), Decimal(110), Decimal("0.2")),)


def test_symbols_do_not_close_each_other() -> None:
    found = tax_lots([fill(0, Side.BUY, "1", "100"), fill(1, Side.SELL, "1", "110", symbol="ETH")])
    assert found.disposed == ()
    assert [(lot.symbol, lot.side) for lot in found.held] == [("BTC", Side.BUY), ("ETH", Side.SELL)]


def test_fee_that_does_not_divide_is_not_lost() -> None:
    thirds = [fill(hours, Side.SELL, "1", "100") for hours in (1, 2, 3)]
    found = tax_lots([fill(0, Side.BUY, "3", "100", "1"), *thirds])
    assert sum(lot.fee for lot in found.disposed) == 1
    assert {lot.fee for lot in found.disposed} == {Decimal("0.333333333333333333"), Decimal("0.333333333333333334")}


def test_fills_of_one_moment_count_by_trade_id_as_a_number() -> None:
    early, late = fill(0, Side.BUY, "1", "100", trade="9"), fill(0, Side.BUY, "1", "200", trade="10")
    out = fill(1, Side.SELL, "1", "300", trade="11")
    assert tax_lots([late, early, out]) == tax_lots([early, late, out])
    assert tax_lots([late, early, out]).disposed[0].cost == 100


def test_csv_has_a_header_plain_decimals_and_utc_moments() -> None:
    found = tax_lots([fill(0, Side.SELL, "1E+1", "100", "0.1"), fill(5, Side.BUY, "10", "90")])
    assert tax_lots_csv(found.disposed) == (
        "acquired,disposed,symbol,position_side,quantity,proceeds,cost,fee,gain\n"
        "2030-01-01T00:00:00Z,2030-01-01T05:00:00Z,BTC,SHORT,10,1000,900,0.1,99.9\n"
    )
    assert tax_lots_csv([]) == ",".join(COLUMNS) + "\n"


FILLS = st.lists(
    st.builds(
        Fill,
        at=st.integers(0, 5).map(moment),
        trade_id=st.uuids().map(str),
        symbol=st.sampled_from(["BTC", "ETH"]),
        side=st.sampled_from(Side),
        quantity=st.decimals("0.001", 10, places=3),
        price=st.decimals("0.01", 1000, places=2),
        fee=st.decimals(-1, 5, places=8),
    ),
    max_size=25,
)


@given(FILLS)
def test_lots_add_up_to_the_realized_result(fills: list[Fill]) -> None:
    found = tax_lots(fills)
    cash = sum((-item.side.sign * item.quantity * item.price - item.fee for item in fills), Decimal(0))
    in_lots = sum((lot.side.sign * lot.quantity * lot.price + lot.fee for lot in found.held), Decimal(0))
    assert sum((lot.gain for lot in found.disposed), Decimal(0)) == cash + in_lots
    bought = sum((item.side.sign * item.quantity for item in fills), Decimal(0))
    assert sum((lot.side.sign * lot.quantity for lot in found.held), Decimal(0)) == bought


@given(FILLS)
def test_lots_of_a_flat_account_are_what_its_book_realized(fills: list[Fill]) -> None:
    # a book of average cost and lots first in, first out agree only when all is closed: so it is, at the end
    fills = [item for item in fills if item.symbol == "BTC"]
    left = sum((item.side.sign * item.quantity for item in fills), Decimal(0))
    if left:
        side = Side.SELL if left > 0 else Side.BUY
        fills.append(Fill(moment(9), "last", "BTC", side, abs(left), Decimal(77), Decimal("0.5")))
    book = AccountBook("USDT")
    book.apply(transfer("1000"))
    for item in fills:
        book.apply(filled(1, item.quantity, item.price, side=item.side, commission=item.fee))
    # these fills report no result of their own, so all of it stays in the basis: what is left there, negated
    realized = book.unrealized({"BTCUSDT": Decimal(1)})
    lots = tax_lots(fills)
    assert lots.held == ()
    assert sum((lot.gain + lot.fee for lot in lots.disposed), Decimal(0)) == realized
    assert sum((lot.fee for lot in lots.disposed), Decimal(0)) == book.balance.commission


@given(FILLS, st.randoms(use_true_random=False))
def test_order_in_which_fills_arrive_changes_no_lot(fills: list[Fill], chance: object) -> None:
    shuffled = fills.copy()
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert tax_lots(shuffled) == tax_lots(fills)


@given(FILLS)
def test_csv_reads_back_to_the_same_amounts(fills: list[Fill]) -> None:
    lots = tax_lots(fills).disposed
    rows = list(csv.DictReader(StringIO(tax_lots_csv(lots))))
    assert [Decimal(row["gain"]) for row in rows] == [lot.gain for lot in lots]
    assert [datetime.fromisoformat(row["acquired"]) for row in rows] == [lot.acquired for lot in lots]
