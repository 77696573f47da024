"""No money appears or is lost over accounts, fees, insurance and house, to the last decimal, in both liquidities."""

from __future__ import annotations

import os
from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patriot.sim.engine.instruments import LISTED
from patriot.sim.engine.operations import (
    AdjustMargin,
    AmendAlgoOrder,
    CancelAllAlgoOrders,
    CancelAllOrders,
    CreateAccount,
    FundInsurance,
    MovePrice,
    Operation,
    PlaceAlgoOrder,
    PlaceOrder,
    SetLeverage,
    SetMarginType,
    SetPositionMode,
    SetProtection,
    SettleFunding,
    Transfer,
)
from patriot.sim.engine.records import Protection
from patriot.sim.engine.venue import Venue
from patriot.sim.engine.words import (
    ZERO,
    Closing,
    IncomeType,
    Liquidity,
    MarginType,
    OrderType,
    PositionSide,
    Side,
    TimeInForce,
)
from tests.sim.engine.support import START_MS

pytestmark = pytest.mark.integration

EXAMPLES = int(os.environ.get("PATRIOT_SIM_EXAMPLES", "25"))
UIDS = (1, 2, 3)
START_PRICE = {"BTCUSDT": Decimal("40000"), "SOLUSDT": Decimal("100")}
TICK = {"BTCUSDT": Decimal("0.1"), "SOLUSDT": Decimal("0.01")}

symbols = st.sampled_from(tuple(START_PRICE))
cents = st.integers(-300_000, 300_000).map(lambda n: Decimal(n) / 100)


@st.composite
def near(draw: st.DrawFn, symbol: str) -> Decimal:
    """A price on the grid, up to 12 % from where the symbol started."""
    tick = TICK[symbol]
    return (START_PRICE[symbol] * draw(st.integers(880, 1120)) / 1000 / tick).to_integral_value() * tick


def quantities(symbol: str) -> st.SearchStrategy[Decimal]:
    return st.integers(1, 300).map(lambda n: Decimal(n) / (1000 if symbol == "BTCUSDT" else 1))


def rows(uid: int) -> st.SearchStrategy[PositionSide]:
    """Mostly a row that the account has: the third is in hedge mode."""
    usual = (PositionSide.LONG, PositionSide.SHORT) if uid == 3 else (PositionSide.BOTH,)
    return st.sampled_from((*usual * 4, *PositionSide))


@st.composite
def orders(draw: st.DrawFn, uid: int, symbol: str) -> Operation:
    quantity, side, row = draw(quantities(symbol)), draw(st.sampled_from(Side)), draw(rows(uid))
    stop = START_PRICE[symbol] * (Decimal("0.87") if side is Side.BUY else Decimal("1.13"))
    attached = draw(st.sampled_from((None, None, Protection(stop_loss=stop), Protection(take_profit=stop))))
    if draw(st.booleans()):
        return PlaceOrder(uid, symbol, side, OrderType.MARKET, quantity, position_side=row, attached=attached)
    force = draw(st.sampled_from((TimeInForce.GTC, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK)))
    price, reduce_only = draw(near(symbol)), draw(st.integers(0, 3)) == 0
    return PlaceOrder(uid, symbol, side, OrderType.LIMIT, quantity, price, force, reduce_only, row, attached=attached)


@st.composite
def conditionals(draw: st.DrawFn, uid: int, symbol: str) -> Operation:
    quantity, side, row = draw(quantities(symbol)), draw(st.sampled_from(Side)), draw(rows(uid))
    order_type = draw(st.sampled_from((OrderType.STOP_MARKET, OrderType.TAKE_PROFIT_MARKET)))
    if draw(st.booleans()):
        return PlaceAlgoOrder(uid, symbol, side, order_type, draw(near(symbol)), quantity, position_side=row)
    rate = Decimal(draw(st.integers(1, 50))) / 10
    trailing = OrderType.TRAILING_STOP_MARKET
    return PlaceAlgoOrder(uid, symbol, side, trailing, None, quantity, position_side=row, callback_rate=rate)


@st.composite
def account_operations(draw: st.DrawFn) -> Operation:
    uid, symbol = draw(st.sampled_from(UIDS)), draw(symbols)
    position_side = draw(rows(uid))
    match draw(st.integers(0, 13)):
        case 0 | 1 | 2 | 3 | 4:
            return draw(orders(uid, symbol))
        case 5 | 6:
            return draw(conditionals(uid, symbol))
        case 7:
            protection = Protection(
                stop_loss=draw(near(symbol)), trailing_distance=draw(st.sampled_from((None, TICK[symbol] * 50)))
            )
            return SetProtection(uid, symbol, protection, position_side)
        case 8:
            return AdjustMargin(uid, symbol, draw(cents), position_side)
        case 9:
            return Transfer(uid, draw(cents))
        case 10:
            return SetLeverage(uid, symbol, draw(st.sampled_from((5, 20, 75))))
        case 11:
            return SetMarginType(uid, symbol, draw(st.sampled_from(MarginType)))
        case 12:
            return SetPositionMode(uid, draw(st.booleans()), draw(st.sampled_from(("", symbol))))
        case _:
            cancels: list[Operation] = [
                CancelAllOrders(uid, symbol),
                CancelAllAlgoOrders(uid, symbol),
                AmendAlgoOrder(uid, uid * 1_000_000_000 + 1, trigger_price=draw(near(symbol))),
            ]
            return draw(st.sampled_from(cancels))


@st.composite
def public_operations(draw: st.DrawFn) -> Operation:
    symbol = draw(symbols)
    match draw(st.integers(0, 9)):
        case 0:
            return SettleFunding(symbol, draw(st.sampled_from((None, Decimal("0.0123"), Decimal("-0.0031")))))
        case 1:
            return FundInsurance(draw(cents))
        case _:
            last = draw(near(symbol))
            mark = draw(st.sampled_from((None, last * Decimal("1.001"), last * Decimal("0.998"))))
            return MovePrice(symbol, last, mark, jump=draw(st.booleans()))


@st.composite
def scenarios(draw: st.DrawFn) -> list[tuple[int, Operation]]:
    steps: list[Operation] = [CreateAccount(Decimal("2000"), uid=uid, hedge_mode=uid == 3) for uid in UIDS]
    steps += [MovePrice(symbol, price) for symbol, price in START_PRICE.items()]
    for uid in UIDS:
        if draw(st.booleans()):
            steps.append(SetMarginType(uid, "BTCUSDT", MarginType.ISOLATED))
        steps.append(SetLeverage(uid, "BTCUSDT", 75))
        side = draw(st.sampled_from(Side))
        row = PositionSide.BOTH if uid != 3 else PositionSide.LONG if side is Side.BUY else PositionSide.SHORT
        opening = Decimal(draw(st.integers(1, 30))) / 10
        steps.append(PlaceOrder(uid, "BTCUSDT", side, OrderType.MARKET, opening, position_side=row))
    for _ in range(draw(st.integers(1, 12))):
        steps += draw(st.lists(account_operations(), max_size=5))
        steps.append(draw(public_operations()))
    return [(START_MS + number * 250, operation) for number, operation in enumerate(steps)]


def created(venue: Venue) -> Decimal:
    """Return what the accounts and pools have together beyond what came from outside: nothing, if all is right."""
    pools, total = venue.pools(), ZERO
    marks = {symbol: ticker.mark if (ticker := venue.ticker(symbol)) else ZERO for symbol in START_PRICE}
    for uid in venue.uids:
        total += venue.account(uid).wallet
        for row in venue.positions(uid):
            total += row.position.quantity * marks[row.position.symbol] - row.position.basis
        total -= sum((i.amount for i in venue.income(uid) if i.income_type is IncomeType.TRANSFER), ZERO)
    total += pools.house_cash + sum((q * marks[symbol] for symbol, q in pools.house_quantity.items()), ZERO)
    return total + pools.fees + pools.insurance - pools.insurance_funded


@pytest.mark.parametrize("liquidity", Liquidity)
def test_money_is_conserved_and_every_holding_has_its_counterparty(liquidity: Liquidity) -> None:
    @settings(max_examples=EXAMPLES)
    @given(scenarios())
    def holds(steps: Sequence[tuple[int, Operation]]) -> None:
        venue = Venue(seed=11, instruments=LISTED, liquidity=liquidity)
        for at_ms, operation in steps:
            venue.apply(operation, at_ms)
            assert created(venue) == ZERO, operation
            house = venue.pools().house_quantity
            for symbol in START_PRICE:
                held = sum(
                    (r.position.quantity for uid in UIDS if uid in venue.uids for r in venue.positions(uid, symbol)),
                    ZERO,
                )
                assert held + house.get(symbol, ZERO) == ZERO
        commissions = sum((t.commission for uid in UIDS for t in venue.trades(uid)), ZERO)
        assert venue.pools().fees == commissions

    holds()


@pytest.mark.parametrize("liquidity", Liquidity)
def test_liquidation_leaves_no_wallet_below_zero_and_no_shared_fund(liquidity: Liquidity) -> None:
    @settings(max_examples=EXAMPLES)
    @given(scenarios())
    def holds(steps: Sequence[tuple[int, Operation]]) -> None:
        venue = Venue(seed=11, instruments=LISTED, liquidity=liquidity)
        told, owned = dict.fromkeys(UIDS, 0), dict.fromkeys(UIDS, ZERO)
        for at_ms, operation in steps:
            venue.apply(operation, at_ms)
            assert liquidity is Liquidity.PRIVATE or venue.pools().insurance >= ZERO
            for uid in venue.uids:
                closed = [o for o in venue.orders(uid) if o.closing is Closing.LIQUIDATION]
                assert not any(o.is_open for o in closed)
                crossed = [row for row in venue.positions(uid) if row.margin_type is MarginType.CROSSED]
                wallet = venue.account(uid).cross_wallet
                if len(closed) > told[uid] and not crossed:
                    assert wallet >= min(owned[uid], ZERO)  # below zero only by the account's own trades before
                told[uid], owned[uid] = len(closed), wallet

    holds()
