"""What holds for every sequence of operations: money adds up, limits bind, same operations give the same bytes."""

from __future__ import annotations

from decimal import Context, localcontext
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patriot.sim.engine.conditional import working_price
from patriot.sim.engine.events import AccountUpdated, OrderUpdated
from patriot.sim.engine.operations import MovePrice, Operation
from patriot.sim.engine.words import ZERO, IncomeType, InstrumentStatus, Liquidity, MarginType, Side
from tests.sim.engine.scenarios import (
    EXAMPLES,
    SYMBOLS,
    Rounds,
    market_operations,
    new_venue,
    played,
    private_operations,
    scenarios,
    state_bytes,
    timed,
)

pytestmark = pytest.mark.integration


@settings(max_examples=EXAMPLES)
@given(scenarios())
def test_money_adds_up_exactly(rounds: Rounds) -> None:
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


@pytest.mark.parametrize("liquidity", Liquidity)
@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_positions_and_orders_are_the_sums_of_their_trades(liquidity: Liquidity, data: st.DataObject) -> None:
    venue, told = played(timed(data.draw(scenarios(near=liquidity is Liquidity.SHARED))), liquidity)

    for uid in venue.uids:
        trades = venue.trades(uid)
        for symbol in SYMBOLS:
            for row in venue.positions(uid, symbol):
                own = [t for t in trades if (t.symbol, t.position_side) == (symbol, row.position.position_side)]
                signed = [t.quantity if t.side is Side.BUY else -t.quantity for t in own]
                assert row.position.quantity == sum(signed, ZERO)
        for order in venue.orders(uid):
            parts = [t for t in trades if t.order_id == order.order_id]
            assert order.filled_quantity == sum((t.quantity for t in parts), ZERO) <= order.quantity
            assert order.filled_notional == sum((t.notional for t in parts), ZERO)
            assert order.is_open == (order in venue.open_orders(uid))
            assert order.is_open <= (order.leaves_quantity > ZERO)
        for event in told.get(uid, []):
            if isinstance(event, OrderUpdated) and event.trade is not None and event.order.price:
                limit, paid = event.order.price, event.trade.price
                assert paid <= limit if event.order.side is Side.BUY else paid >= limit


@settings(max_examples=EXAMPLES)
@given(scenarios())
def test_same_operations_give_the_same_bytes(rounds: Rounds) -> None:
    first, first_told = played(timed(rounds))
    second, second_told = played(timed(rounds))

    assert state_bytes(first) == state_bytes(second)
    assert first_told == second_told


@settings(max_examples=EXAMPLES)
@given(scenarios(uids=(1, 2, 3)), st.randoms(use_true_random=False))
def test_no_account_notices_how_others_interleave(rounds: Rounds, chance: Random) -> None:
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
def test_an_account_alone_fares_as_it_does_in_company(rounds: Rounds) -> None:
    alone = [[o for o in part if getattr(o, "uid", 1) == 1] for part in rounds]

    in_company, told = played(timed(rounds))
    by_itself, told_alone = played(timed(alone))

    assert in_company.trades(1) == by_itself.trades(1)
    assert in_company.income(1) == by_itself.income(1)
    assert told.get(1) == told_alone.get(1)


@settings(max_examples=EXAMPLES)
@given(scenarios())
def test_refused_operations_change_nothing_and_need_no_journal(rounds: Rounds) -> None:
    accepted: list[tuple[int, Operation]] = []
    venue = new_venue()
    for at_ms, operation in timed(rounds):
        if venue.apply(operation, at_ms).refusal is None:
            accepted.append((at_ms, operation))

    replayed, _ = played(accepted)

    assert state_bytes(replayed) == state_bytes(venue)


@settings(max_examples=EXAMPLES)
@given(scenarios(uids=(1,)))
def test_stream_of_events_tells_the_same_story_as_the_records(rounds: Rounds) -> None:
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
def test_nothing_that_a_price_has_passed_is_left_behind(rounds: Rounds) -> None:
    """The trip wires never hide an order, a trigger or a liquidation that the last move reached."""
    venue = new_venue()
    for at_ms, operation in timed(rounds):
        venue.apply(operation, at_ms)
        if not isinstance(operation, MovePrice) or venue.instrument(operation.symbol).status is InstrumentStatus.HALTED:
            continue
        ticker = venue.ticker(operation.symbol)
        assert ticker is not None
        for uid in venue.uids:
            for order in venue.open_orders(uid, operation.symbol):
                assert ticker.last >= order.price if order.side is Side.BUY else ticker.last <= order.price
            for algo in venue.open_algo_orders(uid, operation.symbol):
                working = working_price(ticker, algo.working_type)
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
def test_callers_decimal_context_changes_nothing(rounds: Rounds, precision: int) -> None:
    expected, _ = played(timed(rounds))
    with localcontext(Context(prec=precision)):
        under_another, _ = played(timed(rounds))
        found = state_bytes(under_another)

    assert found == state_bytes(expected)
