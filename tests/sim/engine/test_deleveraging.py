"""Auto-deleveraging: who is closed when the insurance fund cannot carry a loss, and that nothing is lost."""

from __future__ import annotations

from decimal import Decimal

import pytest

from patriot.sim.engine.instruments import LISTED
from patriot.sim.engine.operations import CreateAccount, FundInsurance, MovePrice, SetLeverage, SetMarginType
from patriot.sim.engine.records import Order
from patriot.sim.engine.venue import Venue
from patriot.sim.engine.words import (
    Closing,
    IncomeType,
    Liquidity,
    MarginType,
    OrderStatus,
    Side,
)
from tests.sim.engine.support import START_MS, SYMBOL, D, Desk, limit, market

pytestmark = pytest.mark.integration

BUY, SELL = Side.BUY, Side.SELL


class Hall:
    """Three accounts on a venue whose liquidity is shared: 1 is long at 40,000 on 2,000, 2 and 3 are short."""

    def __init__(self, insurance: str = "0") -> None:
        self.venue = Venue(seed=7, instruments=LISTED, liquidity=Liquidity.SHARED)
        self.now_ms = START_MS
        for uid in (1, 2, 3):
            self.do(CreateAccount(D("2500") if uid == 1 else D("50000"), uid=uid))
        if D(insurance):
            self.do(FundInsurance(D(insurance)))
        self.do(MovePrice(SYMBOL, D("40000")))
        self.do(SetLeverage(1, SYMBOL, 50))
        self.do(SetLeverage(2, SYMBOL, 50))
        self.do(SetMarginType(2, SYMBOL, MarginType.ISOLATED))
        self.do(market(1, BUY, "1"))
        self.do(market(2, SELL, "0.4"))
        self.do(market(3, SELL, "0.4"))

    def do(self, operation: object) -> object:
        self.now_ms += 1_000
        outcome = self.venue.apply(operation, self.now_ms)  # type: ignore[arg-type]
        assert outcome.refusal is None, outcome.refusal
        return outcome.result

    def crash(self, price: str = "36000") -> None:
        self.do(MovePrice(SYMBOL, D(price), jump=True))

    def closing(self, uid: int) -> list[Order]:
        return [order for order in self.venue.orders(uid) if order.closing]

    def worth(self) -> Decimal:
        """Everything that anybody has, less what came from outside."""
        pools, total = self.venue.pools(), D(0)
        for uid in self.venue.uids:
            total += self.venue.account(uid).equity
            total -= sum((i.amount for i in self.venue.income(uid) if i.income_type is IncomeType.TRANSFER), D(0))
        ticker = self.venue.ticker(SYMBOL)
        assert ticker is not None
        total += pools.house_cash + pools.house_quantity.get(SYMBOL, D(0)) * ticker.mark
        return total + pools.fees + pools.insurance - pools.insurance_funded


def test_fund_that_can_carry_the_loss_takes_the_position_over() -> None:
    hall = Hall(insurance="10000")

    hall.crash()

    assert hall.venue.account(1).wallet >= 0
    assert D(0) < hall.venue.pools().insurance < D("10000")
    assert not hall.closing(2)
    assert not hall.closing(3)
    assert hall.worth() == 0


def test_loss_that_the_fund_cannot_carry_closes_those_who_won() -> None:
    hall = Hall()
    resting = hall.do(limit(2, BUY, "0.01", "35000"))
    assert isinstance(resting, Order)
    queue = [max(hall.venue.adl_quantile(uid, SYMBOL).values()) for uid in (1, 2, 3)]

    hall.crash()

    [bankrupt] = hall.closing(1)
    for uid in (2, 3):
        [order] = hall.closing(uid)
        assert order.client_order_id.startswith("adl_autoclose-")
        assert (order.closing, order.quantity) == (Closing.DELEVERAGING, D("0.4"))
        assert order.average_fill_price == bankrupt.price
        [trade] = [trade for trade in hall.venue.trades(uid) if trade.order_id == order.order_id]
        assert trade.commission == 0
        assert hall.venue.positions(uid) == ()
    assert hall.venue.order(2, SYMBOL, order_id=resting.order_id).status is OrderStatus.CANCELED
    assert hall.venue.pools().insurance < D("0.1")  # the loss of the rest is the house's; a fee of under a tick came
    assert hall.venue.account(1).wallet >= 0
    assert hall.worth() == 0
    assert all(0 <= place <= 4 for place in queue)


def test_only_as_much_is_deleveraged_as_the_bankrupt_position_had() -> None:
    hall = Hall()
    hall.do(market(1, SELL, "0.7", reduce_only=True))
    hall.do(MovePrice(SYMBOL, D("39999")))

    hall.crash("30000")

    taken = [order.quantity for uid in (2, 3) for order in hall.closing(uid)]
    assert sum(taken, D(0)) == D("0.3")
    assert hall.closing(2), "the isolated short on 50 times leverage stands first"
    assert hall.worth() == 0


def test_queue_is_told_by_profit_and_leverage() -> None:
    hall = Hall()
    hall.do(MovePrice(SYMBOL, D("39500")))

    [second], [third] = (list(hall.venue.adl_quantile(uid, SYMBOL).values()) for uid in (2, 3))

    assert (second, third) == (4, 2)


def test_nobody_is_deleveraged_where_liquidity_is_private() -> None:
    desk = Desk()
    desk.market(BUY, "1")
    desk.move("41000")

    assert set(desk.venue.adl_quantile(1, SYMBOL).values()) == {0}


@pytest.mark.parametrize("price", ["39200", "38500", "37000", "20000"])
@pytest.mark.parametrize("insurance", ["0", "300"])
def test_crash_of_any_depth_leaves_no_wallet_and_no_fund_below_zero(price: str, insurance: str) -> None:
    hall = Hall(insurance)

    hall.crash(price)

    assert all(hall.venue.account(uid).wallet >= 0 for uid in hall.venue.uids)
    assert hall.venue.pools().insurance >= 0
    assert hall.worth() == 0


def test_account_that_the_bankruptcy_price_would_ruin_is_left_alone() -> None:
    hall = Hall()
    hall.do(CreateAccount(D("1040"), uid=4))
    hall.do(CreateAccount(D("50000"), uid=5))
    hall.do(SetLeverage(4, SYMBOL, 50))
    hall.do(market(4, BUY, "1"))
    for uid in (2, 3):
        hall.do(market(uid, BUY, "0.4", reduce_only=True))
    hall.do(market(1, SELL, "1", reduce_only=True))
    hall.do(MovePrice(SYMBOL, D("38100"), D("40000")))
    hall.do(SetMarginType(5, SYMBOL, MarginType.ISOLATED))
    hall.do(SetLeverage(5, SYMBOL, 75))
    hall.do(market(5, SELL, "0.4"))  # at 38,100 on 508 per piece; the long of account 4 is bankrupt at about 39,000

    hall.crash()

    [bankrupt] = hall.closing(4)
    assert bankrupt.price > D("38900")
    assert hall.closing(5) == []
    assert hall.venue.positions(5)[0].unrealized_pnl > 0
    assert hall.worth() == 0
