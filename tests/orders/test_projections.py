from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.adapters.postgres.database import Database
from patriot.adapters.postgres.eventstore import PostgresEventStore
from patriot.adapters.postgres.projections import ProjectionRunner
from patriot.adapters.postgres.shadow import compare, rebuild
from patriot.kernel.clock import FakeClock
from patriot.kernel.codec import EVENTS
from patriot.orders import queries
from patriot.orders.decider import ORDER, OVER, PROVEN_ABSENT
from patriot.orders.events import (
    CancelReason,
    OrderAccepted,
    OrderApproved,
    OrderCanceled,
    OrderCancelRequested,
    OrderDenied,
    OrderEvent,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderSubmissionUnknown,
    OrderSubmitted,
    OrderTriggered,
    RejectStage,
)
from patriot.orders.projections import BracketStatus, OrdersProjection, OrderStatus, created_row, take_in
from patriot.trading.terms import Leg, Side
from tests.portfolio.facts import (
    ALICE,
    ALICES,
    BOB,
    BOBS,
    NOON,
    History,
    apply,
    closed,
    created,
    empty,
    filled,
    group,
    order_id,
    rows,
)

pytestmark = pytest.mark.integration

LATER = NOON + timedelta(seconds=1)
ID = order_id(1)
APPROVED = OrderApproved(ID)
SUBMITTED = OrderSubmitted(ID, "p1E1", 1, LATER)
UNKNOWN = OrderSubmissionUnknown(ID, "p1E1", "TimeoutError", LATER)
ACCEPTED = OrderAccepted(ID, ALICES, "v1", LATER)
DENIED = OrderDenied(ID, ALICES, "LEVERAGE", Decimal(11), Decimal(10))
REJECTED = OrderRejected(ID, ALICES, RejectStage.EXCHANGE, "MARGIN", -2019, "Margin is insufficient.", LATER)
ABSENT = OrderRejected(ID, ALICES, RejectStage.EXCHANGE, PROVEN_ABSENT, None, None, LATER)
EXPIRED = OrderExpired(ID, ALICES, Decimal(0), LATER)
ASKED = OrderCancelRequested(ID, CancelReason.USER, LATER)
TRIGGERED = OrderTriggered(ID, ALICES, "v2", LATER)
CANCELED = OrderCanceled(ID, ALICES, CancelReason.USER, Decimal(0), LATER)


@pytest.fixture
async def sql(database: str) -> AsyncIterator[Database]:
    connected = await Database.connect(database, max_connections=3)
    yield connected
    await connected.close()


async def project(sql: Database, *events: Any) -> None:
    await apply(sql, OrdersProjection(), [History(list(events)).recorded()])


@pytest.mark.parametrize(
    ("events", "status", "bracket"),
    [
        ([], OrderStatus.CREATED, BracketStatus.PENDING),
        ([APPROVED], OrderStatus.APPROVED, BracketStatus.PENDING),
        ([DENIED], OrderStatus.DENIED, BracketStatus.VOID),
        ([APPROVED, SUBMITTED], OrderStatus.SUBMITTED, BracketStatus.PENDING),
        ([APPROVED, SUBMITTED, UNKNOWN], OrderStatus.UNKNOWN, BracketStatus.PENDING),
        ([APPROVED, SUBMITTED, REJECTED], OrderStatus.REJECTED, BracketStatus.VOID),
        ([APPROVED, SUBMITTED, EXPIRED], OrderStatus.EXPIRED, BracketStatus.VOID),
        ([APPROVED, SUBMITTED, ACCEPTED], OrderStatus.ACCEPTED, BracketStatus.PENDING),
        ([APPROVED, SUBMITTED, ACCEPTED, ASKED], OrderStatus.ACCEPTED, BracketStatus.PENDING),
        ([APPROVED, SUBMITTED, ACCEPTED, CANCELED], OrderStatus.CANCELED, BracketStatus.VOID),
        ([APPROVED, SUBMITTED, ACCEPTED, filled(1, "1", "9")], OrderStatus.PARTIALLY_FILLED, BracketStatus.OPEN),
        ([APPROVED, SUBMITTED, filled(1, "2", "9")], OrderStatus.FILLED, BracketStatus.OPEN),
        ([APPROVED, SUBMITTED, filled(1, "1", "9"), CANCELED], OrderStatus.CANCELED, BracketStatus.OPEN),
        ([APPROVED, CANCELED, filled(1, "1", "9")], OrderStatus.CANCELED, BracketStatus.OPEN),
        ([APPROVED, filled(1, "2", "9"), closed(1)], OrderStatus.FILLED, BracketStatus.CLOSED),
        (
            [APPROVED, filled(1, "1", "9"), closed(1), filled(1, "1", "9", trade="t-2")],
            OrderStatus.FILLED,
            BracketStatus.CLOSED,
        ),
    ],
)
async def test_entry_moves_its_order_and_its_bracket(
    sql: Database, events: list[Any], status: OrderStatus, bracket: BracketStatus
) -> None:
    await project(sql, created(1), *events)
    (order,) = await queries.orders(sql, ALICE)
    (view,) = await queries.brackets(sql, ALICE)
    over = bracket in {BracketStatus.CLOSED, BracketStatus.VOID}
    assert (order.status, view.status) == (status, bracket)
    assert (view.closed_at is not None, view.close_reason is not None) == (over, over)


async def test_order_held_for_absent_that_fills_in_part_works_again(sql: Database) -> None:
    await project(sql, created(1), APPROVED, SUBMITTED, UNKNOWN, ABSENT, filled(1, "1", "9"))
    (order,) = await queries.orders(sql, ALICE, open_only=True)
    assert (order.status, order.reason_code, order.closed_at) == (OrderStatus.PARTIALLY_FILLED, None, None)


async def test_fills_add_up_and_the_average_price_is_rounded_once(sql: Database) -> None:
    fills = [filled(1, "1", "30"), filled(1, "2", "35.00000001", trade="t-2", at=LATER)]
    await project(sql, created(1, quantity="3"), APPROVED, SUBMITTED, ACCEPTED, *fills)
    (order,) = await queries.orders(sql, ALICE)
    assert (order.filled_quantity, order.status) == (Decimal(3), OrderStatus.FILLED)
    assert order.average_fill_price == Decimal("33.33333334")
    assert (order.submitted_at, order.accepted_at, order.closed_at) == (LATER, LATER, LATER)
    assert [fill.trade_id for fill in await queries.fills(sql, ALICE)] == ["t-2", "t-1"]


async def test_old_news_changes_nothing(sql: Database) -> None:
    told = History([created(1), APPROVED, SUBMITTED, ACCEPTED, filled(1, "1", "30")]).recorded()
    await apply(sql, OrdersProjection(), [told, told[2:], told[:1]])
    (order,) = await queries.orders(sql, ALICE)
    assert (order.status, order.filled_quantity) == (OrderStatus.PARTIALLY_FILLED, Decimal(1))


async def test_denial_keeps_its_reason(sql: Database) -> None:
    await project(sql, created(1), DENIED)
    (order,) = await queries.orders(sql, ALICE)
    (bracket,) = await queries.brackets(sql, ALICE)
    assert order.reason_code == bracket.close_reason == "LEVERAGE"
    assert order.average_fill_price is None


async def test_triggered_stop_carries_the_id_of_its_working_order(sql: Database) -> None:
    stop = order_id(1, Leg.STOP)
    await project(
        sql,
        created(1),
        APPROVED,
        filled(1, "2", "100"),
        created(1, Leg.STOP, side=Side.SELL),
        OrderAccepted(stop, ALICES, "algo:7", LATER),
        OrderTriggered(stop, ALICES, "99", LATER),
    )
    entry, view = sorted(await queries.orders(sql, ALICE), key=lambda order: order.leg)
    assert (entry.leg, view.leg, view.venue_order_id, view.reduce_only) == ("ENTRY", "STOP", "99", True)
    assert [order.order_id for order in await queries.orders(sql, ALICE, open_only=True)] == [stop]


async def test_rejected_stop_does_not_end_its_bracket(sql: Database) -> None:
    stop = order_id(1, Leg.STOP)
    refused = OrderRejected(stop, ALICES, RejectStage.EXCHANGE, "TRIGGER", -2021, "would trigger", LATER)
    await project(sql, created(1), APPROVED, filled(1, "2", "9"), created(1, Leg.STOP, side=Side.SELL), refused)
    (view,) = await queries.brackets(sql, ALICE, open_only=True)
    assert (view.group_id, view.status) == (group(1), BracketStatus.OPEN)


async def test_client_sees_only_its_own_orders(sql: Database) -> None:
    await project(sql, created(1), created(2, account=BOBS), filled(2, "1", "9", account=BOBS))
    assert [order.account_id for order in await queries.orders(sql, ALICE)] == [ALICES]
    assert await queries.orders(sql, ALICE, account_id=BOBS) == []
    assert await queries.fills(sql, ALICE) == []
    assert await queries.brackets(sql, ALICE, account_id=BOBS) == []
    assert len(await queries.fills(sql, BOB, account_id=BOBS, group_id=group(2))) == 1
    assert len(await queries.orders(sql, None)) == 2


def random_history(seed: int, brackets: int = 12) -> History:
    """Lives of orders, interleaved at random."""
    chance = Random(seed)
    lives: list[list[Any]] = []
    for number in range(brackets):
        account = chance.choice([ALICES, BOBS])
        entry, stop = order_id(number), order_id(number, Leg.STOP)
        fill = {"account": account}
        ends: list[list[Any]] = [
            [OrderDenied(entry, account, "HALTED", None, None)],
            [OrderApproved(entry), OrderRejected(entry, account, RejectStage.LOCAL, "EXPIRED", None, None, LATER)],
            [OrderApproved(entry), OrderSubmitted(entry, "c", 1, LATER), OrderAccepted(entry, account, "v", LATER)],
            [
                OrderApproved(entry),
                OrderSubmitted(entry, "c", 1, LATER),
                OrderRejected(entry, account, RejectStage.EXCHANGE, PROVEN_ABSENT, None, None, LATER),
                filled(number, "1.5", "100.25", account=account),
            ],
            [
                OrderApproved(entry),
                filled(number, "1.5", "100.25", account=account),
                filled(number, "0.5", "100.5", trade="t-2", account=account),
                created(number, Leg.STOP, side=Side.SELL, account=account),
                OrderAccepted(stop, account, "algo:1", LATER),
                OrderTriggered(stop, account, "v9", LATER),
                filled(number, "2", "90", "-20", leg=Leg.STOP, side=Side.SELL, trade="t-3", **fill),  # type: ignore[arg-type]
                closed(number, account=account),
            ],
        ]
        lives.append([created(number, account=account), *chance.choice(ends)])
    events: list[Any] = []
    while any(lives):
        life = chance.choice([life for life in lives if life])
        events.append(life.pop(0))
    return History(events)


def fills() -> st.SearchStrategy[OrderFilled]:
    quantities = st.decimals("0.001", "3", places=3)
    prices = st.decimals("0.01", "99999", places=2)
    return st.builds(lambda quantity, price: filled(1, quantity, price), quantities, prices)


REPORTS = st.sampled_from(
    [APPROVED, DENIED, SUBMITTED, UNKNOWN, ACCEPTED, TRIGGERED, REJECTED, ABSENT, EXPIRED, ASKED, CANCELED]
)


@given(st.lists(REPORTS | fills(), max_size=12))
def test_row_stands_where_the_decider_stands(events: list[OrderEvent]) -> None:
    placed = created(1, quantity="3")
    row, order = created_row(placed), ORDER.evolve(ORDER.initial, placed)
    for event in events:
        take_in(event, row, LATER)
        order = ORDER.evolve(order, event)
        assert (row.status, row.filled_quantity) == (order.status.name, order.filled)
        assert (row.closed_at is None) == (order.status not in OVER)
    traded = [event for event in events if isinstance(event, OrderFilled)]
    assert row.filled_notional == sum(fill.quantity * fill.price for fill in traded)


@pytest.mark.parametrize("seed", range(4))
async def test_neither_batches_nor_repeats_change_a_row(sql: Database, seed: int) -> None:
    projection, recorded, chance = OrdersProjection(), random_history(seed).recorded(), Random(seed)
    await apply(sql, projection, [recorded])
    expected = await rows(sql, projection)
    await empty(sql, projection)
    at = 0
    while at < len(recorded):
        size = chance.randrange(1, 6)
        await apply(sql, projection, [recorded[max(0, at - chance.randrange(8)) : at + size]])
        at += size
    assert await rows(sql, projection) == expected
    assert all(expected.values())


async def test_rebuilt_rows_are_the_live_rows(sql: Database) -> None:
    projection, history = OrdersProjection(), random_history(7, brackets=30)
    async with PostgresEventStore(sql, FakeClock()) as store:
        await history.append_to(store)
        await ProjectionRunner(sql, store.feed, projection).drain()
        live = await rows(sql, projection)
        assert await compare(sql, store.feed, projection) == []
        assert await rebuild(sql, store.feed, projection) == len(history.events)
        assert await rows(sql, projection) == live
        assert all(live.values())


def test_every_event_of_an_order_is_projected() -> None:
    names = {name for name in EVENTS.names() if name.startswith("order.")}
    assert names | {"position.closed"} == OrdersProjection.event_types
