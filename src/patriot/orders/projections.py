"""Orders, fills and brackets as rows: what screens, reconciliation and the recovery of a desk read."""

from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal, localcontext
from enum import StrEnum
from operator import attrgetter
from typing import ClassVar, assert_never
from uuid import UUID

from patriot.execution.events import PositionClosed
from patriot.kernel.money import EXACT, ZERO
from patriot.kernel.projection import Recorded
from patriot.kernel.sql import Sql
from patriot.orders.decider import ORDER, OVER, Order, Status
from patriot.orders.events import (
    OrderAccepted,
    OrderApproved,
    OrderCanceled,
    OrderCancelRequested,
    OrderCreated,
    OrderDenied,
    OrderEvent,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderSubmissionUnknown,
    OrderSubmitted,
    OrderTriggered,
)
from patriot.trading.terms import Leg


class OrderStatus(StrEnum):
    CREATED = "CREATED"
    APPROVED = "APPROVED"
    DENIED = "DENIED"
    SUBMITTED = "SUBMITTED"
    UNKNOWN = "UNKNOWN"
    ACCEPTED = "ACCEPTED"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"


class BracketStatus(StrEnum):
    PENDING = "PENDING"  # the entry is on its way
    OPEN = "OPEN"  # the entry has a fill
    CLOSED = "CLOSED"  # flat, and nothing rests
    VOID = "VOID"  # the entry ended without a fill


@dataclass(slots=True)
class OrderRow:
    """One order; the fields are the columns of read.orders. `version` is that of its stream: older news is ignored.

    A batch changes it in place.
    """

    order_id: UUID
    version: int
    group_id: UUID
    leg: str
    sequence: int
    user_id: UUID
    account_id: UUID
    strategy_id: UUID | None
    signal_id: UUID | None
    exchange: str
    symbol: str
    side: str
    order_type: str
    quantity: Decimal
    price: Decimal | None
    trigger_price: Decimal | None
    reduce_only: bool
    client_order_id: str
    venue_order_id: str | None
    status: str
    reason_code: str | None
    filled_quantity: Decimal
    filled_notional: Decimal
    created_at: datetime
    submitted_at: datetime | None
    accepted_at: datetime | None
    closed_at: datetime | None
    presumed_absent: bool  # its rejection is only the exchange's silence


@dataclass(slots=True)
class BracketRow:
    """An entry and the legs around its position; the fields are the columns of read.brackets. Changed in place."""

    group_id: UUID
    user_id: UUID
    account_id: UUID
    strategy_id: UUID | None
    signal_id: UUID | None
    symbol: str
    side: str
    stop_price: Decimal | None
    take_profit_price: Decimal | None
    status: str
    close_reason: str | None
    created_at: datetime
    closed_at: datetime | None


ORDER_COLUMNS = tuple(column.name for column in fields(OrderRow))
BRACKET_COLUMNS = tuple(column.name for column in fields(BracketRow))
_order_values = attrgetter(*ORDER_COLUMNS)
_bracket_values = attrgetter(*BRACKET_COLUMNS)


def _upsert(table: str, key: str, columns: tuple[str, ...]) -> str:
    numbers = ", ".join(f"${number}" for number in range(1, len(columns) + 1))
    changes = ", ".join(f"{column} = excluded.{column}" for column in columns if column != key)
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({numbers}) "  # noqa: S608  only our own constants
        f"ON CONFLICT ({key}) DO UPDATE SET {changes}"
    )


_SAVE_ORDER = _upsert("read.orders", "order_id", ORDER_COLUMNS)
_SAVE_BRACKET = _upsert("read.brackets", "group_id", BRACKET_COLUMNS)
_LOAD_ORDERS = f"SELECT {', '.join(ORDER_COLUMNS)} FROM read.orders WHERE order_id = ANY($1::uuid[])"  # noqa: S608
_LOAD_BRACKETS = f"SELECT {', '.join(BRACKET_COLUMNS)} FROM read.brackets WHERE group_id = ANY($1::uuid[])"  # noqa: S608
_SAVE_FILL = """
    INSERT INTO read.fills (order_id, trade_id, group_id, leg, user_id, account_id, strategy_id, symbol, side,
        venue_order_id, quantity, price, commission, commission_asset, realized_pnl, is_maker, filled_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
    ON CONFLICT (order_id, trade_id) DO NOTHING
"""


class OrdersProjection:
    """read.orders, read.fills and read.brackets."""

    name: ClassVar[str] = "orders"
    tables: ClassVar[tuple[str, ...]] = ("orders", "fills", "brackets")
    event_types: ClassVar[frozenset[str]] = frozenset(
        {
            "order.created",
            "order.approved",
            "order.denied",
            "order.submitted",
            "order.accepted",
            "order.rejected",
            "order.submission_unknown",
            "order.trigger_fired",
            "order.filled",
            "order.cancel_requested",
            "order.canceled",
            "order.expired",
            "position.closed",
        }
    )

    async def apply(self, sql: Sql, batch: list[Recorded]) -> None:
        """Write the rows of a batch of events: one read and one write per table, however many events."""
        touched = {recorded.envelope.stream.stream_id for recorded in batch if _is_order(recorded)}
        found = await sql.fetch(_LOAD_ORDERS, list(touched))
        orders = {row["order_id"]: OrderRow(*(row[column] for column in ORDER_COLUMNS)) for row in found}
        groups = {row.group_id for row in orders.values()}
        groups |= {recorded.event.group_id for recorded in batch if hasattr(recorded.event, "group_id")}
        found = await sql.fetch(_LOAD_BRACKETS, list(groups))
        brackets = {row["group_id"]: BracketRow(*(row[column] for column in BRACKET_COLUMNS)) for row in found}
        folded = _Rows(orders, brackets)
        with localcontext(EXACT):
            for recorded in batch:
                folded.apply(recorded)
        if folded.fills:
            await sql.executemany(_SAVE_FILL, [_fill_values(fill) for fill in folded.fills])
        if folded.changed_orders:
            await sql.executemany(_SAVE_ORDER, [_order_values(orders[key]) for key in folded.changed_orders])
        if folded.changed_brackets:
            await sql.executemany(_SAVE_BRACKET, [_bracket_values(brackets[key]) for key in folded.changed_brackets])


class _Rows:
    """The rows that a batch touches, folded in memory."""

    def __init__(self, orders: dict[UUID, OrderRow], brackets: dict[UUID, BracketRow]) -> None:
        self._orders = orders
        self._brackets = brackets
        self.fills: list[OrderFilled] = []
        self.changed_orders: dict[UUID, None] = {}  # in the order of their first change
        self.changed_brackets: dict[UUID, None] = {}

    def apply(self, recorded: Recorded) -> None:
        event, version = recorded.event, recorded.envelope.stream_version
        if isinstance(event, PositionClosed):
            self._close(event)
            return
        row = self._orders.get(event.order_id)
        if row is not None and version <= row.version:
            return
        if isinstance(event, OrderCreated):
            row = self._orders[event.order_id] = created_row(event)
            if event.leg is Leg.ENTRY:
                self._save_bracket(pending_row(event))
        elif row is not None:
            take_in(event, row, recorded.envelope.occurred_at)
            if isinstance(event, OrderFilled):
                self.fills.append(event)
        else:
            return
        row.version = version
        self.changed_orders[row.order_id] = None
        if row.leg == Leg.ENTRY:
            self._follow_entry(row)

    def _follow_entry(self, entry: OrderRow) -> None:
        bracket = self._brackets[entry.group_id]
        status = bracket_status(entry)
        if bracket.status in (BracketStatus.CLOSED, status):
            return
        void = status is BracketStatus.VOID
        bracket.status = status
        bracket.close_reason = (entry.reason_code or entry.status) if void else None
        bracket.closed_at = entry.closed_at if void else None
        self._save_bracket(bracket)

    def _close(self, event: PositionClosed) -> None:
        bracket = self._brackets.get(event.group_id)
        if bracket is not None:
            bracket.status = BracketStatus.CLOSED
            bracket.close_reason = event.close_reason
            bracket.closed_at = event.closed_at
            self._save_bracket(bracket)

    def _save_bracket(self, row: BracketRow) -> None:
        self._brackets[row.group_id] = row
        self.changed_brackets[row.group_id] = None


def created_row(event: OrderCreated) -> OrderRow:
    """Return the row of an order that was just decided on."""
    return OrderRow(
        order_id=event.order_id,
        version=0,
        group_id=event.group_id,
        leg=event.leg,
        sequence=event.sequence,
        user_id=event.user_id,
        account_id=event.account_id,
        strategy_id=event.strategy_id,
        signal_id=event.signal_id,
        exchange=event.exchange,
        symbol=event.symbol,
        side=event.side,
        order_type=event.order_type,
        quantity=event.quantity,
        price=event.price,
        trigger_price=event.trigger_price,
        reduce_only=event.reduce_only,
        client_order_id=event.client_order_id,
        venue_order_id=None,
        status=OrderStatus.CREATED,
        reason_code=None,
        filled_quantity=ZERO,
        filled_notional=ZERO,
        created_at=event.created_at,
        submitted_at=None,
        accepted_at=None,
        closed_at=None,
        presumed_absent=False,
    )


def pending_row(event: OrderCreated) -> BracketRow:
    """Return the bracket that an entry opens."""
    return BracketRow(
        group_id=event.group_id,
        user_id=event.user_id,
        account_id=event.account_id,
        strategy_id=event.strategy_id,
        signal_id=event.signal_id,
        symbol=event.symbol,
        side=event.side,
        stop_price=event.stop_price,
        take_profit_price=event.take_profit_price,
        status=BracketStatus.PENDING,
        close_reason=None,
        created_at=event.created_at,
        closed_at=None,
    )


def take_in(event: OrderEvent, row: OrderRow, occurred_at: datetime) -> None:
    """Fold an event into a row: the decider says where the order stands, the event what else there is to tell."""
    order = ORDER.evolve(_order(row), event)
    over = order.status in OVER
    if (row.presumed_absent and not order.presumed_absent) or (Status[row.status] in OVER and not over):
        row.reason_code = None  # it is there after all
    row.status = OrderStatus[order.status.name]
    row.filled_quantity = order.filled
    row.presumed_absent = order.presumed_absent
    row.closed_at = (row.closed_at or _told_at(event, occurred_at)) if over else None
    match event:
        case OrderSubmitted():
            row.submitted_at = row.submitted_at or event.submitted_at
        case OrderAccepted():
            row.venue_order_id, row.accepted_at = event.venue_order_id, event.accepted_at
        case OrderTriggered():
            row.venue_order_id = event.venue_order_id
        case OrderFilled():
            row.venue_order_id = event.venue_order_id
            row.filled_notional += event.quantity * event.price
        case OrderDenied() | OrderCancelRequested() | OrderCanceled() | OrderRejected():
            row.reason_code = event.reason_code
        case OrderCreated() | OrderApproved() | OrderSubmissionUnknown() | OrderExpired():
            pass
        case _:
            assert_never(event)


def _order(row: OrderRow) -> Order:
    """Return what the decider's `evolve` reads of an order."""
    return Order(
        status=Status[row.status],
        quantity=row.quantity,
        filled=row.filled_quantity,
        presumed_absent=row.presumed_absent,
    )


def _told_at(event: OrderEvent, occurred_at: datetime) -> datetime:
    match event:
        case OrderFilled():
            return event.filled_at
        case OrderCanceled():
            return event.canceled_at
        case OrderExpired():
            return event.expired_at
        case OrderRejected():
            return event.rejected_at
        case _:
            return occurred_at


def bracket_status(entry: OrderRow) -> BracketStatus:
    """Return where a bracket stands by its entry alone."""
    if entry.filled_quantity:
        return BracketStatus.OPEN
    return BracketStatus.VOID if Status[entry.status] in OVER else BracketStatus.PENDING


def _is_order(recorded: Recorded) -> bool:
    return not isinstance(recorded.event, PositionClosed)


def _fill_values(event: OrderFilled) -> tuple[object, ...]:
    return (
        event.order_id,
        event.trade_id,
        event.group_id,
        event.leg,
        event.user_id,
        event.account_id,
        event.strategy_id,
        event.symbol,
        event.side,
        event.venue_order_id,
        event.quantity,
        event.price,
        event.commission,
        event.commission_asset,
        event.realized_pnl,
        event.is_maker,
        event.filled_at,
    )
