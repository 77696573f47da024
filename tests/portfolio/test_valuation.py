from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.portfolio.valuation import AccountBook, Balance, Holding, after_fill, unrealized
from patriot.trading.terms import Side
from tests.portfolio.facts import BREAKOUT, TREND, filled, funding, transfer
from tests.portfolio.venue import Venue

pytestmark = pytest.mark.unit


def book(*events: object) -> AccountBook:
    made = AccountBook("USDT")
    for event in events:
        made.apply(event)  # type: ignore[arg-type]
    return made


def test_open_position_is_worth_its_price_difference() -> None:
    account = book(transfer("1000"), filled(1, "2", "100", commission="0.1"))
    assert account.wallet == Decimal("999.9")
    assert account.unrealized({"BTCUSDT": Decimal(105)}) == 10
    assert account.equity({"BTCUSDT": Decimal(105)}) == Decimal("1009.9")


def test_short_position_gains_when_the_price_falls() -> None:
    account = book(filled(1, "2", "100", side=Side.SELL, commission="0"))
    assert account.holdings["BTCUSDT"].quantity == -2
    assert account.equity({"BTCUSDT": Decimal(90)}) == 20


def test_remainder_of_the_venues_rounding_stays_in_the_basis() -> None:
    # 3 bought for 100 in all, 1 sold at 40: the profit is 6.66666..., the venue pays 6.66666667
    account = book(
        filled(1, "1", "30", commission="0"),
        filled(2, "2", "35", commission="0"),
        filled(3, "1", "40", "6.66666667", side=Side.SELL, commission="0"),
    )
    assert account.holdings["BTCUSDT"] == Holding(
        Decimal(2), Decimal("66.66666667"), Decimal("6.66666667"), strategy_id=TREND
    )
    assert account.equity({"BTCUSDT": Decimal(40)}) == 20


def test_dust_of_a_closed_position_is_forgotten_and_a_real_difference_is_not() -> None:
    held = Holding(Decimal(1), Decimal("100.000000004"))
    assert after_fill(held, filled(1, "1", "100", side=Side.SELL), "USDT").cost_basis == 0
    wrong = after_fill(held, filled(1, "1", "100", "1", side=Side.SELL), "USDT")
    assert wrong.cost_basis == Decimal("1.000000004")
    assert book(filled(1, "1", "100"), filled(2, "1", "101", "2", side=Side.SELL)).unrealized({}) == -1


def test_fills_recorded_in_another_order_end_in_the_same_basis() -> None:
    first, more = filled(1, "1", "100"), filled(2, "1", "105")
    out = filled(3, "1", "110", "7.5", side=Side.SELL)
    assert book(first, more, out).holdings == book(first, out, more).holdings


def test_commission_in_another_asset_leaves_the_quote_wallet_alone() -> None:
    account = book(transfer("1000"), filled(1, "1", "100", commission="0.001", commission_asset="BNB"))
    assert account.wallet == 1000
    assert account.balances["BNB"].wallet == Decimal("-0.001")
    assert account.holdings["BTCUSDT"].commission == 0


def test_fill_without_a_commission_books_no_asset_for_it() -> None:
    account = book(filled(1, "1", "100", commission="0", commission_asset=""))
    assert list(account.balances) == ["USDT"]


amounts = st.decimals(min_value=-500, max_value=500, places=8)


@given(st.lists(st.tuples(st.sampled_from(["transfer", "funding", "fill"]), st.sampled_from(["USDT", "BNB"]), amounts)))
def test_money_adds_up_in_each_asset_by_itself(moves: list[tuple[str, str, Decimal]]) -> None:
    account, wallets, realized = AccountBook("USDT"), {"USDT": Decimal(0), "BNB": Decimal(0)}, Decimal(3)
    for number, (kind, asset, amount) in enumerate(moves):
        match kind:
            case "transfer":
                account.apply(transfer(amount, str(number), asset=asset))
            case "funding":
                account.apply(funding(amount, str(number), asset=asset))
            case _:
                paid = filled(number, "1", "100", realized, commission=-amount, commission_asset=asset)
                account.apply(paid)
                wallets["USDT"] += realized
        wallets[asset] += amount
    assert {asset: account.balances.get(asset, Balance()).wallet for asset in wallets} == wallets
    mark = {"BTCUSDT": Decimal(100)}
    assert account.equity(mark) == wallets["USDT"] + account.unrealized(mark)


def test_funding_is_booked_on_the_wallet_and_on_the_position() -> None:
    account = book(filled(1, "1", "100", commission="0"), funding("-0.25"), funding("0.05", "f-2"))
    assert account.balance == Balance(funding=Decimal("-0.20"))
    assert account.holdings["BTCUSDT"].funding == Decimal("-0.20")


def test_newest_fill_names_the_owner() -> None:
    account = book(filled(1, "1", "100"), filled(2, "1", "100", side=Side.SELL), filled(3, "1", "9", strategy=BREAKOUT))
    assert account.holdings["BTCUSDT"].strategy_id == BREAKOUT


def test_open_position_without_a_mark_price_is_an_error() -> None:
    with pytest.raises(KeyError, match="BTCUSDT"):
        book(filled(1, "1", "100")).equity({})


SYMBOLS = ("BTCUSDT", "ETHUSDT")
trades = st.tuples(
    st.sampled_from(SYMBOLS),
    st.sampled_from(list(Side)),
    st.decimals(min_value="0.0001", max_value="3", places=4),
    st.decimals(min_value="0.000001", max_value="60000", places=6),
    st.decimals(min_value="-1", max_value="5", places=8),
)
flows = st.tuples(st.sampled_from(["transfer", "funding"]), st.decimals(min_value=-500, max_value=500, places=8))
marks = st.decimals(min_value="0.01", max_value="70000", places=8)


@given(st.lists(trades | flows, max_size=40), marks, marks)
def test_equity_from_events_is_the_venues_to_the_last_digit(
    moves: list[tuple[str, Side, Decimal, Decimal, Decimal] | tuple[str, Decimal]], btc: Decimal, eth: Decimal
) -> None:
    venue, account = Venue(), AccountBook("USDT")
    at = dict(zip(SYMBOLS, (btc, eth), strict=True))
    for number, move in enumerate(moves):
        if len(move) == 2:
            kind, amount = move
            venue.move(amount)
            account.apply(transfer(amount, str(number)) if kind == "transfer" else funding(amount, str(number)))
        else:
            symbol, side, quantity, price, commission = move
            realized = venue.trade(symbol, quantity * side.sign, price, commission)
            account.apply(filled(number, quantity, price, realized, symbol=symbol, side=side, commission=commission))
        assert Fraction(account.wallet) == venue.wallet
        assert Fraction(account.equity(at)) == venue.equity(at)
    sums = account.balance
    parts = sums.transfers + sums.realized_pnl - sums.commission + sums.funding
    assert account.equity(at) == parts + sum(
        (unrealized(held.quantity, held.cost_basis, at[name]) for name, held in account.holdings.items()), Decimal(0)
    )
