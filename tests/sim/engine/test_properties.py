"""What holds for every sequence of operations: money adds up, limits bind, same operations give the same bytes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from decimal import Context, Decimal, localcontext
from random import Random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from patriot.sim.engine.events import AccountEvent, AccountUpdated, OrderUpdated
from patriot.sim.engine.instruments import LISTED
from patriot.sim.engine.operations import (
    CancelAlgoOrder,
    CancelAllAlgoOrders,
    CancelAllOrders,
    CancelOrder,
    CreateAccount,
    MovePrice,
    Operation,
    PlaceAlgoOrder,
    PlaceOrder,
    SetLeverage,
    SetMarginType,
    SettleFunding,
    Transfer,
)
from patriot.sim.engine.venue import Venue
from patriot.sim.engine.words import ZERO, IncomeType, MarginType, OrderType, Side, TimeInForce, WorkingType
from tests.sim.engine.support import START_MS

SYMBOLS = ("BTCUSDT", "SOLUSDT")
START_PRICE = {"BTCUSDT": Decimal("40000"), "SOLUSDT": Decimal("100")}
EXAMPLES = int(os.environ.get("PATRIOT_SIM_EXAMPLES", "25"))  # a run of thousands is for a change of the engine
Steps = Sequence[tuple[int, Operation]]

symbols = st.sampled_from(SYMBOLS)
sides = st.sampled_from(Side)


@st.composite
def prices(draw: st.DrawFn, symbol: str) -> Decimal:
    """A price on the grid of the symbol, up to 12 % from where it started."""
    tick = Decimal("0.1") if symbol == "BTCUSDT" else Decimal("0.01")
    return (START_PRICE[symbol] * draw(st.integers(880, 1120)) / 1000 / tick).to_integral_value() * tick


@st.composite
def private_operations(draw: st.DrawFn, uid: int) -> Operation:
    symbol = draw(symbols)
    side = draw(sides)
    quantity = Decimal(draw(st.integers(1, 400))) / (1000 if symbol == "BTCUSDT" else 1)
    name = draw(st.sampled_from(("exit", "x1", "x2", "")))
    match draw(st.integers(0, 11)):
        case 0 | 1 | 2:
            reduce_only = draw(st.booleans())
            return PlaceOrder(uid, symbol, side, OrderType.MARKET, quantity, None, None, reduce_only)
        case 3 | 4 | 5:
            time_in_force = draw(st.sampled_from(TimeInForce))
            price = draw(prices(symbol))
            reduce_only = draw(st.booleans())
            return PlaceOrder(
                uid, symbol, side, OrderType.LIMIT, quantity, price, time_in_force, reduce_only, client_order_id=name
            )
        case 6 | 7:
            order_type = draw(st.sampled_from((OrderType.STOP_MARKET, OrderType.TAKE_PROFIT_MARKET, OrderType.STOP)))
            closes = order_type is not OrderType.STOP and draw(st.booleans())
            return PlaceAlgoOrder(
                uid,
                symbol,
                side,
                order_type,
                draw(prices(symbol)),
                None if closes else quantity,
                draw(prices(symbol)) if order_type is OrderType.STOP else None,
                working_type=draw(st.sampled_from(WorkingType)),
                reduce_only=not closes and draw(st.booleans()),
                close_position=closes,
                client_algo_id=name,
            )
        case 8:
            return Transfer(uid, Decimal(draw(st.integers(-500_000, 500_000))) / 100)
        case 9:
            return SetLeverage(uid, symbol, draw(st.sampled_from((1, 5, 20, 75))))
        case 10:
            return SetMarginType(uid, symbol, draw(st.sampled_from(MarginType)))
        case _:
            cancels: list[Operation] = [
                CancelAllOrders(uid, symbol),
                CancelAllAlgoOrders(uid, symbol),
                CancelOrder(uid, symbol, client_order_id=name or "x1"),
                CancelAlgoOrder(uid, client_algo_id=name or "x1"),
            ]
            return draw(st.sampled_from(cancels))


@st.composite
def market_operations(draw: st.DrawFn) -> Operation:
    symbol = draw(symbols)
    if draw(st.integers(0, 9)) == 0:
        return SettleFunding(symbol)
    last = draw(prices(symbol))
    mark = draw(st.sampled_from((None, last * Decimal("1.001"), last * Decimal("0.998"))))
    return MovePrice(symbol, last, mark, jump=draw(st.booleans()))


@st.composite
def scenarios(draw: st.DrawFn, uids: tuple[int, ...] = (1, 2)) -> list[list[Operation]]:
    """Rounds of operations: each round is one market operation, then what the accounts do at that time."""
    rounds: list[list[Operation]] = [[CreateAccount(Decimal("5000"), uid=uid) for uid in uids]]
    rounds.append([MovePrice(symbol, START_PRICE[symbol]) for symbol in SYMBOLS])
    for _ in range(draw(st.integers(1, 14))):
        private = draw(st.lists(st.sampled_from(uids).flatmap(private_operations), max_size=5))
        rounds.append([draw(market_operations()), *private])
    return rounds


def timed(rounds: Sequence[Sequence[Operation]]) -> list[tuple[int, Operation]]:
    return [(START_MS + number * 1_000, operation) for number, part in enumerate(rounds) for operation in part]


def played(steps: Steps) -> tuple[Venue, dict[int, list[AccountEvent]]]:
    venue = Venue(seed=11, instruments=LISTED)
    told: dict[int, list[AccountEvent]] = {}
    for at_ms, operation in steps:
        for event in venue.apply(operation, at_ms).emitted:
            if isinstance(event, AccountEvent):
                told.setdefault(event.uid, []).append(event)
    return venue, told


def state_bytes(venue: Venue) -> bytes:
    return msgspec.json.encode(venue.state())


@settings(max_examples=EXAMPLES)
@given(scenarios())
def test_money_adds_up_exactly(rounds: list[list[Operation]]) -> None:
    venue, _ = played(timed(rounds))

    for uid in venue.uids:
        account = venue.account(uid)
        income = venue.income(uid)
        assert account.wallet == sum((i.amount for i in income), ZERO)
        assert account.wallet >= ZERO or venue.positions(uid)
        trades = venue.trades(uid)
        booked = {kind: sum((i.amount for i in income if i.income_type is kind), ZERO) for kind in IncomeType}
        assert booked[IncomeType.REALIZED_PNL] == sum((t.realized_pnl for t in trades), ZERO)
        assert booked[IncomeType.COMMISSION] == -sum((t.commission for t in trades), ZERO)
        # what the same trades would have left if the base asset had been bought and sold outright
        outright = ZERO
        for symbol in SYMBOLS:
            ticker = venue.ticker(symbol)
            assert ticker is not None
            for trade in venue.trades(uid, symbol):
                signed = trade.quantity if trade.side is Side.BUY else -trade.quantity
                outright += signed * (ticker.mark - trade.price)
        kept = booked[IncomeType.TRANSFER] + booked[IncomeType.FUNDING_FEE] + booked[IncomeType.INSURANCE_CLEAR]
        assert account.equity == kept + booked[IncomeType.COMMISSION] + outright


@settings(max_examples=EXAMPLES)
@given(scenarios())
def test_positions_and_orders_are_the_sums_of_their_trades(rounds: list[list[Operation]]) -> None:
    venue, _ = played(timed(rounds))

    for uid in venue.uids:
        for symbol in SYMBOLS:
            [row] = venue.positions(uid, symbol)
            signed = [t.quantity if t.side is Side.BUY else -t.quantity for t in venue.trades(uid, symbol)]
            assert row.position.quantity == sum(signed, ZERO)
        for order in venue.orders(uid):
            parts = [t for t in venue.trades(uid) if t.order_id == order.order_id]
            assert order.filled_quantity == sum((t.quantity for t in parts), ZERO) <= order.quantity
            assert order.filled_notional == sum((t.notional for t in parts), ZERO)
            if order.order_type is OrderType.LIMIT:
                worse = [t for t in parts if (t.price > order.price) == (order.side is Side.BUY)]
                assert not [t for t in worse if t.price != order.price]
            assert order.is_open == (order in venue.open_orders(uid))


@settings(max_examples=EXAMPLES)
@given(scenarios())
def test_same_operations_give_the_same_bytes(rounds: list[list[Operation]]) -> None:
    first, first_told = played(timed(rounds))
    second, second_told = played(timed(rounds))

    assert state_bytes(first) == state_bytes(second)
    assert first_told == second_told


@settings(max_examples=EXAMPLES)
@given(scenarios(uids=(1, 2, 3)), st.randoms(use_true_random=False))
def test_no_account_notices_how_others_interleave(rounds: list[list[Operation]], chance: Random) -> None:
    def interleaved(part: list[Operation]) -> list[Operation]:
        """The same operations, each account's own in the same sequence, between two moves of the market."""
        queues = {uid: [o for o in part if getattr(o, "uid", None) == uid] for uid in (1, 2, 3)}
        order = [uid for uid, queue in queues.items() for _ in queue]
        chance.shuffle(order)
        public = [o for o in part if not hasattr(o, "uid")]
        return public + [queues[uid].pop(0) for uid in order]

    plain_venue, plain_told = played(timed(rounds))
    mixed_venue, mixed_told = played(timed([interleaved(part) for part in rounds]))

    assert state_bytes(plain_venue) == state_bytes(mixed_venue)
    assert plain_told == mixed_told


@settings(max_examples=EXAMPLES)
@given(scenarios(uids=(1, 2)))
def test_an_account_alone_fares_as_it_does_in_company(rounds: list[list[Operation]]) -> None:
    alone = [[o for o in part if getattr(o, "uid", 1) == 1] for part in rounds]

    in_company, told = played(timed(rounds))
    by_itself, told_alone = played(timed(alone))

    assert in_company.trades(1) == by_itself.trades(1)
    assert in_company.income(1) == by_itself.income(1)
    assert told.get(1) == told_alone.get(1)


@settings(max_examples=EXAMPLES)
@given(scenarios())
def test_refused_operations_change_nothing_and_need_no_journal(rounds: list[list[Operation]]) -> None:
    accepted: list[tuple[int, Operation]] = []
    venue = Venue(seed=11, instruments=LISTED)
    for at_ms, operation in timed(rounds):
        if venue.apply(operation, at_ms).refusal is None:
            accepted.append((at_ms, operation))

    replayed, _ = played(accepted)

    assert state_bytes(replayed) == state_bytes(venue)


@settings(max_examples=EXAMPLES)
@given(scenarios(uids=(1,)))
def test_stream_of_events_tells_the_same_story_as_the_records(rounds: list[list[Operation]]) -> None:
    venue, told = played(timed(rounds))

    updates = [event for event in told.get(1, []) if isinstance(event, OrderUpdated)]
    assert [event.trade for event in updates if event.trade is not None] == list(venue.trades(1))
    assert {event.order.order_id: event.order for event in updates} == {o.order_id: o for o in venue.orders(1)}
    balances = [event for event in told.get(1, []) if isinstance(event, AccountUpdated)]
    assert balances[-1].wallet == venue.account(1).wallet
    last_rows = {row.position.symbol: row.position for event in balances for row in event.positions}
    for symbol, position in last_rows.items():
        assert position.quantity == venue.positions(1, symbol)[0].position.quantity


@settings(max_examples=EXAMPLES)
@given(scenarios())
def test_nothing_that_a_price_has_passed_is_left_behind(rounds: list[list[Operation]]) -> None:
    """The trip wires never hide an order, a trigger or a liquidation that the last move reached."""
    venue = Venue(seed=11, instruments=LISTED)
    for at_ms, operation in timed(rounds):
        venue.apply(operation, at_ms)
        if not isinstance(operation, MovePrice):
            continue
        ticker = venue.ticker(operation.symbol)
        assert ticker is not None
        for uid in venue.uids:
            for order in venue.open_orders(uid, operation.symbol):
                assert ticker.last >= order.price if order.side is Side.BUY else ticker.last <= order.price
            for algo in venue.open_algo_orders(uid, operation.symbol):
                working = ticker.mark if algo.working_type is WorkingType.MARK_PRICE else ticker.last
                assert working < algo.trigger_price if algo.trigger_above else working > algo.trigger_price
            account = venue.account(uid)
            rows = venue.positions(uid)
            crossed = [r for r in rows if r.margin_type is MarginType.CROSSED]
            if any(row.position.symbol == operation.symbol for row in crossed):
                margin = account.cross_wallet + account.cross_unrealized_pnl
                assert margin >= sum((row.maintenance_margin for row in crossed), ZERO)
            for row in rows:
                if row.margin_type is MarginType.ISOLATED and row.position.symbol == operation.symbol:
                    assert row.position.isolated_wallet + row.unrealized_pnl >= row.maintenance_margin


@given(private_operations(7) | market_operations())
def test_operations_survive_the_journals_encoding(operation: Operation) -> None:
    assert msgspec.json.Decoder(Operation).decode(msgspec.json.encode(operation)) == operation


@given(scenarios(), st.integers(6, 60))
@settings(max_examples=EXAMPLES)
def test_callers_decimal_context_changes_nothing(rounds: list[list[Operation]], precision: int) -> None:
    expected, _ = played(timed(rounds))
    with localcontext(Context(prec=precision)):
        under_another, _ = played(timed(rounds))
        found = state_bytes(under_another)

    assert found == state_bytes(expected)
