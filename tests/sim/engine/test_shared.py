"""One book for all: accounts meet each other by price and then time, and money only moves between them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patriot.sim.engine.events import OrderUpdated, PriceMoved, Printed, VenueEvent
from patriot.sim.engine.operations import (
    CancelAllOrders,
    CreateAccount,
    FundInsurance,
    MovePrice,
    Operation,
    SetFillParts,
    Transfer,
)
from patriot.sim.engine.records import AlgoOrder, Order
from patriot.sim.engine.venue import Venue
from patriot.sim.engine.words import (
    ZERO,
    ExecutionType,
    IncomeType,
    InstrumentStatus,
    Liquidity,
    OrderStatus,
    OrderType,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
from tests.sim.engine.scenarios import EXAMPLES, SYMBOLS, THIN, Rounds, new_venue, played, scenarios, state_bytes, timed
from tests.sim.engine.support import START_MS, SYMBOL, D, limit, market, stop

pytestmark = pytest.mark.integration

BUY, SELL = Side.BUY, Side.SELL


class Floor:
    """Three rich accounts on one book: a tick of 10 around 40,000, about 0.03 BTC on each level of the house."""

    def __init__(self, uids: tuple[int, ...] = (1, 2, 3)) -> None:
        self.venue = Venue(seed=5, instruments=THIN, liquidity=Liquidity.SHARED)
        self.now_ms = START_MS
        self.emitted: tuple[VenueEvent, ...] = ()
        for uid in uids:
            self.do(CreateAccount(D("1000000"), uid=uid))
        self.do(MovePrice(SYMBOL, D("40000")))

    def do(self, operation: Operation) -> Any:
        self.now_ms += 1_000
        outcome = self.venue.apply(operation, self.now_ms)
        self.emitted = outcome.emitted
        if outcome.refusal is not None:
            raise outcome.refusal
        return outcome.result

    def touch(self) -> tuple[Decimal, Decimal]:
        ticker = self.venue.ticker(SYMBOL)
        assert ticker is not None
        return ticker.bid, ticker.ask

    def now(self, order: Order) -> Order:
        return self.venue.order(order.uid, SYMBOL, order_id=order.order_id)

    def rest(self, uid: int, side: Side, quantity: str, ticks: int = 0, **fields: Any) -> Order:
        """An order that rests behind the house's touch by so many ticks, at it with 0."""
        bid, ask = self.touch()
        price = bid - 10 * ticks if side is BUY else ask + 10 * ticks
        order: Order = self.do(limit(uid, side, quantity, str(price), **fields))
        return order


# ---------------------------------------------------------------------------------------------------- meeting


def test_taker_meets_the_better_price_and_then_the_older_order_at_the_makers_price() -> None:
    floor = Floor()
    house_bid, house_ask = floor.touch()
    floor.do(market(3, BUY, "0.5"))  # clears room above
    low, high = floor.touch()
    assert (low, high > house_ask) == (house_bid, True)
    first = floor.do(limit(1, SELL, "1", str(high - 20)))
    second = floor.do(limit(2, SELL, "1", str(high - 20)))
    best = floor.do(limit(2, SELL, "1", str(high - 30)))

    taker = floor.do(limit(3, BUY, "2.5", str(high)))

    assert [floor.now(o).filled_quantity for o in (best, first, second)] == [D(1), D(1), D("0.5")]
    assert taker.filled_notional == (high - 30) + (high - 20) * D("1.5")
    assert {t.maker for t in floor.venue.trades(1)} == {True}
    printed = [e for e in floor.emitted if isinstance(e, Printed)]
    assert [(e.price, e.quantity, e.buyer_is_maker) for e in printed] == [
        (high - 30, D(1), False),
        (high - 20, D(1), False),
        (high - 20, D("0.5"), False),
    ]
    assert [e.trade_id for e in printed] == sorted({e.trade_id for e in printed})
    assert floor.venue.last_trade_id(SYMBOL) == printed[-1].trade_id


def test_order_of_before_the_last_move_goes_before_the_house_and_a_later_one_behind() -> None:
    floor = Floor()
    while True:  # until the house stands at the price of the order again after a move
        early = floor.rest(1, BUY, "0.01")
        floor.do(MovePrice(SYMBOL, D("40000")))
        if floor.venue.depth(SYMBOL).bids[0][0] == early.price and floor.venue.depth(SYMBOL).bids[0][1] > D("0.01"):
            break
        floor.do(CancelAllOrders(1, SYMBOL))
    house = floor.venue.depth(SYMBOL).bids[0][1] - D("0.01")
    late = floor.do(limit(2, BUY, "0.01", str(early.price)))

    floor.do(limit(3, SELL, "0.01", str(early.price)))
    assert floor.now(early).status is OrderStatus.FILLED
    floor.do(limit(3, SELL, str(house), str(early.price)))
    assert floor.now(late).status is OrderStatus.NEW
    floor.do(limit(3, SELL, "0.01", str(early.price)))
    assert floor.now(late).status is OrderStatus.FILLED


def test_what_one_took_of_the_house_is_gone_for_all_until_the_next_move() -> None:
    floor = Floor()
    _, ask = floor.touch()
    quantity = floor.venue.depth(SYMBOL).asks[0][1]

    floor.do(market(1, BUY, str(quantity)))

    assert floor.touch()[1] > ask
    assert floor.do(market(2, BUY, "0.01")).average_fill_price > ask
    floor.do(MovePrice(SYMBOL, D("40000")))
    assert floor.venue.depth(SYMBOL).asks[0][1] >= quantity / 100


def test_trade_between_accounts_leaves_the_house_out() -> None:
    floor = Floor()
    floor.do(market(3, BUY, "0.5"))
    before = floor.venue.pools()
    price = floor.touch()[1] - 20
    floor.do(limit(1, SELL, "1", str(price)))

    floor.do(limit(2, BUY, "1", str(price)))

    after = floor.venue.pools()
    assert (after.house_cash, after.house_quantity) == (before.house_cash, before.house_quantity)
    assert after.fees - before.fees == price * D("0.0002") + price * D("0.0005")


def test_reduce_only_maker_gives_no_more_than_its_position() -> None:
    floor = Floor()
    floor.do(market(3, BUY, "0.5"))
    floor.do(market(1, BUY, "0.2"))
    price = floor.touch()[1] - 20
    closing = floor.do(limit(1, SELL, "1", str(price), reduce_only=True))
    floor.do(limit(1, SELL, "1", str(price), reduce_only=True))
    assert floor.venue.depth(SYMBOL).asks[0] == (price, D("0.2"))

    floor.do(limit(2, BUY, "1", str(price)))

    assert (floor.now(closing).status, floor.now(closing).filled_quantity) == (OrderStatus.EXPIRED, D("0.2"))
    assert floor.venue.positions(1) == ()


def test_post_only_is_refused_when_it_would_meet_another_account() -> None:
    floor = Floor()
    floor.do(market(3, BUY, "0.5"))
    price = floor.touch()[1] - 20
    floor.do(limit(1, SELL, "1", str(price)))

    outcome = floor.venue.apply(limit(2, BUY, "1", str(price), time_in_force=TimeInForce.GTX), floor.now_ms)

    assert outcome.refusal is not None
    assert outcome.refusal.code == -5022


def test_fill_or_kill_counts_other_accounts() -> None:
    floor = Floor()
    floor.do(market(3, BUY, "0.5"))
    price = floor.touch()[1] - 20
    floor.do(limit(1, SELL, "1", str(price)))

    assert floor.venue.apply(limit(2, BUY, "1.1", str(price), time_in_force=TimeInForce.FOK), 0).refusal is not None
    assert floor.do(limit(2, BUY, "1", str(price), time_in_force=TimeInForce.FOK)).status is OrderStatus.FILLED


def test_fill_parts_split_every_match() -> None:
    floor = Floor()
    floor.do(SetFillParts(SYMBOL, 3))

    order = floor.do(market(1, BUY, "0.010"))

    assert [t.quantity for t in floor.venue.trades(1)] == [D("0.003"), D("0.003"), D("0.004")]
    assert order.status is OrderStatus.FILLED
    floor.do(market(1, SELL, "0.002", reduce_only=True))
    assert [t.quantity for t in floor.venue.trades(1)][3:] == [D("0.001"), D("0.001")]


# ---------------------------------------------------------------------------------------------------- self trades


@pytest.mark.parametrize(
    ("mode", "resting", "taking"),
    [
        (SelfTradePrevention.EXPIRE_TAKER, OrderStatus.NEW, OrderStatus.EXPIRED_IN_MATCH),
        (SelfTradePrevention.EXPIRE_MAKER, OrderStatus.EXPIRED_IN_MATCH, OrderStatus.NEW),
        (SelfTradePrevention.EXPIRE_BOTH, OrderStatus.EXPIRED_IN_MATCH, OrderStatus.EXPIRED_IN_MATCH),
        (SelfTradePrevention.NONE, OrderStatus.FILLED, OrderStatus.FILLED),
    ],
)
def test_self_trade_prevention_of_the_taker_decides(
    mode: SelfTradePrevention, resting: OrderStatus, taking: OrderStatus
) -> None:
    floor = Floor()
    floor.do(market(3, BUY, "0.5"))
    price = floor.touch()[1] - 20
    maker = floor.do(limit(1, SELL, "1", str(price)))

    taker = floor.do(limit(1, BUY, "1", str(price), self_trade_prevention=mode))

    assert (floor.now(maker).status, taker.status) == (resting, taking)
    told = [e.execution_type for e in floor.emitted if isinstance(e, OrderUpdated)]
    assert told.count(ExecutionType.EXPIRED) == (resting, taking).count(OrderStatus.EXPIRED_IN_MATCH)


def test_self_trade_prevention_lets_the_taker_go_on_to_others() -> None:
    floor = Floor()
    floor.do(market(3, BUY, "0.5"))
    price = floor.touch()[1] - 20
    own = floor.do(limit(1, SELL, "1", str(price)))
    other = floor.do(limit(2, SELL, "1", str(price)))

    floor.do(limit(1, BUY, "1", str(price), self_trade_prevention=SelfTradePrevention.EXPIRE_MAKER))

    assert floor.now(own).status is OrderStatus.EXPIRED_IN_MATCH
    assert floor.now(other).status is OrderStatus.FILLED


def test_in_private_liquidity_an_own_order_is_expired_but_never_met() -> None:
    venue = Venue(seed=5, instruments=THIN)
    venue.apply(CreateAccount(D("1000000"), uid=1), START_MS)
    venue.apply(MovePrice(SYMBOL, D("40000")), START_MS)
    ticker = venue.ticker(SYMBOL)
    assert ticker is not None
    venue.apply(limit(1, BUY, "1", str(ticker.bid)), START_MS)

    venue.apply(market(1, SELL, "1"), START_MS)
    assert [o.status for o in venue.orders(1)] == [OrderStatus.NEW, OrderStatus.FILLED]
    venue.apply(market(1, SELL, "1", self_trade_prevention=SelfTradePrevention.EXPIRE_MAKER), START_MS + 1)

    assert venue.orders(1)[0].status is OrderStatus.EXPIRED_IN_MATCH


# ---------------------------------------------------------------------------------------------------- the public book


def test_orders_enter_and_leave_the_public_book_and_its_update_id_rises() -> None:
    floor = Floor()
    before = floor.venue.depth(SYMBOL)
    bid, _ = floor.touch()

    order = floor.rest(1, BUY, "0.5")

    after = floor.venue.depth(SYMBOL)
    assert after.bids[0] == (bid, before.bids[0][1] + D("0.5"))
    assert after.update_id > before.update_id
    ticker = floor.venue.ticker(SYMBOL)
    assert ticker is not None
    assert (ticker.bid, ticker.bid_quantity) == after.bids[0]
    floor.do(limit(1, SELL, "0.5", str(order.price + 500)))
    assert floor.venue.depth(SYMBOL).update_id > after.update_id


def test_move_tells_the_touch_that_it_left_and_fills_what_it_would_cross() -> None:
    floor = Floor()
    stood = filled = 0
    for _ in range(12):
        order = floor.rest(1, BUY, "0.5")
        floor.do(MovePrice(SYMBOL, order.price))
        [moved] = [e for e in floor.emitted if isinstance(e, PriceMoved)]
        depth = floor.venue.depth(SYMBOL)
        assert moved.ticker == floor.venue.ticker(SYMBOL)
        assert (moved.ticker.bid, moved.ticker.bid_quantity) == depth.bids[0]
        assert depth.bids[0][0] < depth.asks[0][0]
        if floor.now(order).is_open:
            stood += 1
            assert depth.bids[0][0] == order.price
        else:
            filled += 1
            assert depth.asks[0][0] == order.price
        floor.do(CancelAllOrders(1, SYMBOL))
        floor.do(MovePrice(SYMBOL, D("40000")))

    assert stood
    assert filled


def test_stop_limit_that_rests_where_the_move_ended_is_filled_rather_than_crossed() -> None:
    for price in ("39900", "39910", "39920"):
        floor = Floor()
        stop_order = stop(1, SELL, "39950", "5", order_type=OrderType.STOP, price=D(price))
        assert isinstance(floor.do(stop_order), AlgoOrder)

        floor.do(MovePrice(SYMBOL, D("39910")))

        [order] = floor.venue.orders(1)
        depth = floor.venue.depth(SYMBOL)
        assert depth.bids[0][0] < depth.asks[0][0]
        assert order.filled_quantity > ZERO
        assert min(trade.price for trade in floor.venue.trades(1)) >= D(price)


# ---------------------------------------------------------------------------------------------------- for every day


def _crossed(venue: Venue, symbol: str) -> bool:
    depth = venue.depth(symbol, 50)
    ticker = venue.ticker(symbol)
    assert ticker is not None
    assert depth.bids[0] == (ticker.bid, ticker.bid_quantity)
    assert depth.asks[0] == (ticker.ask, ticker.ask_quantity)
    bids, asks = [p for p, _ in depth.bids], [p for p, _ in depth.asks]
    assert bids == sorted(set(bids), reverse=True)
    assert asks == sorted(set(asks))
    assert all(q > ZERO for _, q in depth.bids + depth.asks)
    return bids[0] >= asks[0]


@pytest.mark.parametrize("liquidity", Liquidity)
@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_public_book_is_never_crossed_and_its_first_level_is_the_tickers(
    liquidity: Liquidity, data: st.DataObject
) -> None:
    venue = new_venue(liquidity)
    for at_ms, operation in timed(data.draw(scenarios(uids=(1, 2, 3), near=True))):
        before = {symbol: venue.depth(symbol, 20) for symbol in SYMBOLS}
        venue.apply(operation, at_ms)
        for symbol in SYMBOLS:
            after = venue.depth(symbol, 20)
            if after.asks:
                assert not _crossed(venue, symbol)
            if (after.bids, after.asks) != (before[symbol].bids, before[symbol].asks):
                assert after.update_id > before[symbol].update_id


@pytest.mark.parametrize("liquidity", Liquidity)
@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_money_is_conserved_over_accounts_and_pools(liquidity: Liquidity, data: st.DataObject) -> None:
    rounds = data.draw(scenarios(uids=(1, 2, 3), near=liquidity is Liquidity.SHARED))
    venue = new_venue(liquidity)
    for at_ms, operation in timed(rounds):
        venue.apply(operation, at_ms)

        marks = {s: t.mark for s in SYMBOLS if (t := venue.ticker(s)) is not None}
        pools = venue.pools()
        brought = kept = ZERO
        for uid in venue.uids:
            brought += sum((i.amount for i in venue.income(uid) if i.income_type is IncomeType.TRANSFER), ZERO)
            kept += venue.account(uid).wallet
            for row in venue.positions(uid):
                kept += row.position.quantity * marks[row.position.symbol] - row.position.basis
        house = pools.house_cash + sum((q * marks[s] for s, q in pools.house_quantity.items()), ZERO)
        assert brought == kept + house + pools.fees + pools.insurance - pools.insurance_funded


@settings(max_examples=EXAMPLES)
@given(scenarios(uids=(1, 2, 3), near=True))
def test_better_price_then_earlier_time_fills_first(rounds: Rounds) -> None:
    """Whenever an order of an account makes a trade, none that stands before it could have made it."""
    venue = new_venue(Liquidity.SHARED)
    for at_ms, operation in timed(rounds):
        standing = [o for uid in venue.uids for o in venue.open_orders(uid)]
        outcome = venue.apply(operation, at_ms)
        if not isinstance(getattr(operation, "order_type", None), OrderType) or outcome.refusal is not None:
            continue
        made = [e.order for e in outcome.emitted if isinstance(e, OrderUpdated) and e.trade and e.trade.maker]
        left = {(o.uid, o.order_id) for uid in venue.uids for o in venue.open_orders(uid)}
        for order in made:
            for other in standing:
                competes = (other.symbol, other.side) == (order.symbol, order.side) and not other.reduce_only
                sign = 1 if order.side is SELL else -1
                before = (sign * other.price, other.priority) < (sign * order.price, order.priority)
                if competes and before:
                    assert (other.uid, other.order_id) not in left


@settings(max_examples=EXAMPLES)
@given(scenarios(uids=(1, 2, 3), near=True))
def test_same_operations_give_the_same_bytes_and_refused_ones_change_nothing(rounds: Rounds) -> None:
    venue = new_venue(Liquidity.SHARED)
    accepted = [(at, o) for at, o in timed(rounds) if venue.apply(o, at).refusal is None]

    again, _ = played(accepted, Liquidity.SHARED)

    assert state_bytes(again) == state_bytes(venue)
    assert [again.depth(s) for s in SYMBOLS] == [venue.depth(s) for s in SYMBOLS]
    assert again.pools() == venue.pools()


@settings(max_examples=EXAMPLES)
@given(scenarios(uids=(1, 2, 3), near=True))
def test_taker_meets_what_the_depth_shows(rounds: Rounds) -> None:
    venue, _ = played(timed(rounds), Liquidity.SHARED)
    venue.apply(CreateAccount(D("10000000"), uid=9), 0)
    if venue.instrument(SYMBOL).status is InstrumentStatus.HALTED:
        return
    asks = venue.depth(SYMBOL, 3).asks
    wanted = sum((q for _, q in asks), ZERO)

    venue.apply(limit(9, BUY, str(wanted), str(asks[-1][0])), 0)

    bought: dict[Decimal, Decimal] = {}
    for trade in venue.trades(9):
        bought[trade.price] = bought.get(trade.price, ZERO) + trade.quantity
    assert tuple(bought.items()) == asks


def test_insurance_and_transfers_are_the_only_money_from_outside() -> None:
    floor = Floor(uids=(1,))
    floor.do(FundInsurance(D(500)))
    floor.do(Transfer(1, D(100)))

    assert (floor.venue.pools().insurance, floor.venue.pools().insurance_funded) == (D(500), D(500))
