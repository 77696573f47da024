"""Random days at the venue: rounds of operations for hypothesis, and how they are played."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import msgspec
from hypothesis import strategies as st

from patriot.sim.engine.events import AccountEvent
from patriot.sim.engine.instruments import LISTED
from patriot.sim.engine.operations import (
    AdjustMargin,
    AmendOrder,
    CancelAlgoOrder,
    CancelAllAlgoOrders,
    CancelAllOrders,
    CancelOrder,
    ChangeInstrument,
    CreateAccount,
    FundInsurance,
    MovePrice,
    Operation,
    PassTime,
    PlaceAlgoOrder,
    PlaceOrder,
    SetCountdown,
    SetFillParts,
    SetLeverage,
    SetMarginType,
    SettleFunding,
    Transfer,
)
from patriot.sim.engine.venue import Venue
from patriot.sim.engine.words import (
    InstrumentStatus,
    Liquidity,
    MarginType,
    OrderType,
    PositionSide,
    SelfTradePrevention,
    Side,
    TimeInForce,
    WorkingType,
)
from tests.sim.engine.support import START_MS

SYMBOLS = ("BTCUSDT", "SOLUSDT")
START_PRICE = {"BTCUSDT": Decimal("40000"), "SOLUSDT": Decimal("100")}
EXAMPLES = int(os.environ.get("PATRIOT_SIM_EXAMPLES", "12"))  # a run of thousands is for a change of the engine
Steps = Sequence[tuple[int, Operation]]
Rounds = list[list[Operation]]

# a coarse grid and a thin house, so that the orders of accounts meet each other
THIN = tuple(
    replace(
        instrument,
        tick_size=Decimal(10) if instrument.symbol == "BTCUSDT" else Decimal("0.1"),
        level_notional=Decimal(2_000),
    )
    for instrument in LISTED
    if instrument.symbol in SYMBOLS
)

symbols = st.sampled_from(SYMBOLS)
sides = st.sampled_from(Side)


@st.composite
def prices(draw: st.DrawFn, symbol: str, near: bool = False) -> Decimal:
    """A price on the grid of the symbol: up to 12 % from where it started, or (near) a few coarse ticks."""
    if near:
        tick = Decimal(10) if symbol == "BTCUSDT" else Decimal("0.1")
        return START_PRICE[symbol] + tick * draw(st.integers(-3, 3))
    tick = Decimal("0.1") if symbol == "BTCUSDT" else Decimal("0.01")
    return (START_PRICE[symbol] * draw(st.integers(880, 1120)) / 1000 / tick).to_integral_value() * tick


@st.composite
def placements(draw: st.DrawFn, uid: int, hedged: bool, near: bool) -> Operation:
    """A market or limit order."""
    symbol, side = draw(symbols), draw(sides)
    quantity = Decimal(draw(st.integers(1, 400))) / (1000 if symbol == "BTCUSDT" else 1)
    position_side = draw(st.sampled_from((PositionSide.LONG, PositionSide.SHORT))) if hedged else PositionSide.BOTH
    order = PlaceOrder(
        uid,
        symbol,
        side,
        OrderType.MARKET,
        quantity,
        reduce_only=not hedged and draw(st.integers(0, 3)) == 0,
        position_side=position_side,
        self_trade_prevention=draw(st.sampled_from(SelfTradePrevention)),
    )
    if draw(st.integers(0, 2)) == 0:
        return order
    time_in_force = draw(st.sampled_from((TimeInForce.GTC, TimeInForce.GTC, *TimeInForce)))
    return msgspec.structs.replace(
        order,
        order_type=OrderType.LIMIT,
        price=draw(prices(symbol, near)),
        time_in_force=time_in_force,
        client_order_id=draw(st.sampled_from(("exit", "x1", "x2", "", "", ""))),
        good_till_ms=START_MS + 602_000 if time_in_force is TimeInForce.GTD else 0,
        refuse_late=draw(st.booleans()),
    )


@st.composite
def conditional_placements(draw: st.DrawFn, uid: int, hedged: bool, near: bool) -> Operation:
    symbol, side = draw(symbols), draw(sides)
    quantity = Decimal(draw(st.integers(1, 400))) / (1000 if symbol == "BTCUSDT" else 1)
    position_side = draw(st.sampled_from((PositionSide.LONG, PositionSide.SHORT))) if hedged else PositionSide.BOTH
    order_type = draw(
        st.sampled_from(
            (OrderType.STOP_MARKET, OrderType.TAKE_PROFIT_MARKET, OrderType.STOP, OrderType.TRAILING_STOP_MARKET)
        )
    )
    trails = order_type is OrderType.TRAILING_STOP_MARKET
    closes = order_type in (OrderType.STOP_MARKET, OrderType.TAKE_PROFIT_MARKET) and draw(st.booleans())
    return PlaceAlgoOrder(
        uid,
        symbol,
        side,
        order_type,
        None if trails else draw(prices(symbol, near)),
        None if closes else quantity,
        draw(prices(symbol, near)) if order_type is OrderType.STOP else None,
        working_type=draw(st.sampled_from(WorkingType)),
        reduce_only=not closes and not hedged and draw(st.booleans()),
        close_position=closes,
        position_side=position_side,
        client_algo_id=draw(st.sampled_from(("exit", "x1", "x2", ""))),
        callback_rate=draw(st.sampled_from((Decimal("0.1"), Decimal(1)))) if trails else None,
    )


@st.composite
def changes(draw: st.DrawFn, uid: int, near: bool) -> Operation:
    """What an account does to orders and settings it has."""
    symbol = draw(symbols)
    name = draw(st.sampled_from(("exit", "x1", "x2")))
    number = uid * 1_000_000_000 + draw(st.integers(1, 6))
    quantity = Decimal(draw(st.integers(1, 400))) / (1000 if symbol == "BTCUSDT" else 1)
    amend = AmendOrder(
        uid,
        symbol,
        number,
        quantity=draw(st.sampled_from((None, quantity))),
        price=draw(st.none() | prices(symbol, near)),
    )
    choices: tuple[Operation, ...] = (
        amend,
        amend,
        amend,
        CancelAllOrders(uid, symbol),
        CancelAllAlgoOrders(uid, symbol),
        CancelOrder(uid, symbol, client_order_id=name),
        CancelAlgoOrder(uid, client_algo_id=name),
        SetCountdown(uid, symbol, START_MS + 600_000),
        Transfer(uid, Decimal(draw(st.integers(-500_000, 500_000))) / 100),
        AdjustMargin(uid, symbol, Decimal(draw(st.integers(-5_000, 20_000))) / 100),
        SetLeverage(uid, symbol, draw(st.sampled_from((1, 5, 20, 75)))),
        SetMarginType(uid, symbol, draw(st.sampled_from(MarginType))),
    )
    return draw(st.sampled_from(choices))


@st.composite
def private_operations(draw: st.DrawFn, uid: int, hedged: bool = False, near: bool = False) -> Operation:
    match draw(st.integers(0, 11)):
        case 0 | 1 | 2 | 3 | 4 | 5:
            return draw(placements(uid, hedged, near))
        case 6 | 7:
            return draw(conditional_placements(uid, hedged, near))
        case _:
            return draw(changes(uid, near))


@st.composite
def market_operations(draw: st.DrawFn, near: bool = False) -> Operation:
    symbol = draw(symbols)
    match draw(st.integers(0, 19)):
        case 0 | 1:
            return SettleFunding(symbol)
        case 2:
            return ChangeInstrument(symbol, status=draw(st.sampled_from(InstrumentStatus)))
        case 3:
            return SetFillParts(symbol, draw(st.integers(1, 4)))
        case 4:
            return FundInsurance(Decimal(draw(st.integers(0, 1_000))))
        case _:
            last = draw(prices(symbol, near and draw(st.integers(0, 5)) > 0))
            mark = draw(st.sampled_from((None, last * Decimal("1.001"), last * Decimal("0.998"))))
            return MovePrice(symbol, last, mark, jump=draw(st.booleans()))


@st.composite
def scenarios(draw: st.DrawFn, uids: tuple[int, ...] = (1, 2), near: bool = False) -> Rounds:
    """Rounds of operations: each round is one market operation, then what the accounts do at that time.

    Account 2 is in hedge mode. At the end comes the time at which GTD orders and countdowns are due.
    """
    rounds: Rounds = [[CreateAccount(Decimal("5000"), uid=uid, hedge_mode=uid == 2) for uid in uids]]
    rounds.append([MovePrice(symbol, START_PRICE[symbol]) for symbol in SYMBOLS])
    for _ in range(draw(st.integers(1, 14))):
        one = st.sampled_from(uids).flatmap(lambda uid: private_operations(uid, uid == 2, near))
        rounds.append([draw(market_operations(near)), *draw(st.lists(one, max_size=8 if near else 5))])
    return rounds


def timed(rounds: Sequence[Sequence[Operation]]) -> list[tuple[int, Operation]]:
    """A second passes from round to round; the last one is when everything with a deadline is due."""
    steps = [(START_MS + number * 1_000, operation) for number, part in enumerate(rounds) for operation in part]
    return [*steps, (START_MS + 700_000, PassTime())]


def new_venue(liquidity: Liquidity = Liquidity.PRIVATE) -> Venue:
    instruments = LISTED if liquidity is Liquidity.PRIVATE else THIN
    return Venue(seed=11, instruments=instruments, liquidity=liquidity)


def played(steps: Steps, liquidity: Liquidity = Liquidity.PRIVATE) -> tuple[Venue, dict[int, list[AccountEvent]]]:
    venue = new_venue(liquidity)
    told: dict[int, list[AccountEvent]] = {}
    for at_ms, operation in steps:
        for event in venue.apply(operation, at_ms).emitted:
            if isinstance(event, AccountEvent):
                told.setdefault(event.uid, []).append(event)
    return venue, told


def state_bytes(venue: Venue) -> bytes:
    return msgspec.json.encode(venue.state())
