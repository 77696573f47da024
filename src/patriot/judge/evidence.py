"""The two sides a judge compares: what the exchange's own state says, and what the log says. Neither reads the other.

From the exchange: every order, trade and money record of every account. From the log: intents, fills, protection.
"""

from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from patriot.accounts.events import (
    AccountLinked,
    CredentialsRejected,
    EquitySampled,
    FundingPaid,
    TransferRecorded,
)
from patriot.adapters.postgres.eventstore import PostgresEventStore
from patriot.billing.events import InvoiceDrafted, InvoiceIssued
from patriot.execution.events import PositionClosed, PositionProtected, ProtectionFailed
from patriot.kernel.clock import from_epoch_ms
from patriot.kernel.eventstore import LogPosition
from patriot.kernel.projection import Recorded
from patriot.orders.events import (
    OrderAccepted,
    OrderApproved,
    OrderCanceled,
    OrderCreated,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderSubmissionUnknown,
    OrderSubmitted,
)
from patriot.portfolio.valuation import AccountBook
from patriot.strategies.events import SignalGenerated
from patriot.trading.terms import AccountId, OrderId

NO_WIRE: dict[str, Any] = {"now": 0, "accounts": {}}


@dataclass(frozen=True, slots=True)
class VenueTrade:
    """One execution as the exchange has it."""

    trade_id: str
    order_id: str
    symbol: str
    side: str
    quantity: Decimal
    price: Decimal
    commission: Decimal
    realized_pnl: Decimal
    at: datetime
    wire_ms: int | None = None  # on the simulator's monotonic clock; None: from before it last started

    @property
    def signed_quantity(self) -> Decimal:
        """Return the change of the position."""
        return self.quantity if self.side == "BUY" else -self.quantity


@dataclass(frozen=True, slots=True)
class VenueOrderRecord:
    """One order a client placed; a conditional order and the working order it became are one."""

    client_order_id: str
    symbol: str
    conditional: bool
    side: str
    order_type: str
    reduce_only: bool
    quantity: Decimal
    status: str
    created_at: datetime
    updated_at: datetime
    triggered_at: datetime | None
    wire_placed_ms: int | None = None  # of a conditional order, as `VenueTrade.wire_ms`
    wire_ended_ms: int | None = None


@dataclass(frozen=True, slots=True)
class VenueAccount:
    """One account as the exchange has it."""

    uid: int
    permissions: frozenset[str]  # of the account and of every key of it
    wallet: Decimal
    equity: Decimal
    orders: tuple[VenueOrderRecord, ...]
    trades: tuple[VenueTrade, ...]
    positions: dict[str, Decimal]
    order_client_ids: dict[str, str]  # order id -> client id of the order that a client placed
    as_of: datetime
    wire_now_ms: int = 0  # of `as_of`, as `VenueTrade.wire_ms`


def read_venue(state: dict[str, Any]) -> tuple[dict[int, VenueAccount], dict[str, Decimal]]:
    """Return the accounts by uid and the mark prices by symbol, from the simulator's `/state`."""
    as_of = from_epoch_ms(state["now_ms"])
    keys, wire = state.get("keys", {}), state.get("wire_ms", NO_WIRE)  # an engine without sockets has neither
    accounts = {
        int(uid): replace(
            _account(account, keys.get(uid, []), wire["accounts"].get(uid, {}), as_of), wire_now_ms=wire["now"]
        )
        for uid, account in state["accounts"].items()
    }
    marks = {symbol: Decimal(ticker["mark"]) for symbol, ticker in state["tickers"].items()}
    return accounts, marks


def _account(raw: dict[str, Any], keys: list[dict[str, Any]], wire: dict[str, int], as_of: datetime) -> VenueAccount:
    algos = {row["algo_id"]: row["client_algo_id"] for row in raw["algo_orders"]}
    client_ids = {str(row["order_id"]): algos.get(row["algo_id"], row["client_order_id"]) for row in raw["orders"]}
    placed = [row for row in raw["orders"] if row["algo_id"] is None and not row["closing"]]
    return VenueAccount(
        uid=raw["uid"],
        permissions=frozenset(raw["permissions"]).union(*(key["permissions"] for key in keys)),
        wallet=Decimal(raw["wallet"]),
        equity=Decimal(raw["equity"]),
        orders=tuple([_order(row) for row in placed] + [_algo(row, wire) for row in raw["algo_orders"]]),
        trades=tuple(_trade(row, wire) for row in raw["trades"]),
        positions={row["symbol"]: Decimal(row["quantity"]) for row in raw["positions"] if Decimal(row["quantity"])},
        order_client_ids=client_ids,
        as_of=as_of,
    )


def _order(row: dict[str, Any]) -> VenueOrderRecord:
    return VenueOrderRecord(
        client_order_id=row["client_order_id"],
        symbol=row["symbol"],
        conditional=False,
        side=row["side"],
        order_type=row["order_type"],
        reduce_only=row["reduce_only"],
        quantity=Decimal(row["quantity"]),
        status=row["status"],
        created_at=from_epoch_ms(row["created_ms"]),
        updated_at=from_epoch_ms(row["updated_ms"]),
        triggered_at=None,
    )


def _algo(row: dict[str, Any], wire: dict[str, int]) -> VenueOrderRecord:
    return VenueOrderRecord(
        client_order_id=row["client_algo_id"],
        symbol=row["symbol"],
        conditional=True,
        side=row["side"],
        order_type=row["order_type"],
        reduce_only=row["reduce_only"],
        quantity=Decimal(row["quantity"]),
        status=row["status"],
        created_at=from_epoch_ms(row["created_ms"]),
        updated_at=from_epoch_ms(row["updated_ms"]),
        triggered_at=from_epoch_ms(row["triggered_ms"]) if row["triggered_ms"] else None,
        wire_placed_ms=wire.get(f"placed:{row['algo_id']}"),
        wire_ended_ms=wire.get(f"ended:{row['algo_id']}"),
    )


def _trade(row: dict[str, Any], wire: dict[str, int]) -> VenueTrade:
    return VenueTrade(
        trade_id=str(row["trade_id"]),
        order_id=str(row["order_id"]),
        symbol=row["symbol"],
        side=row["side"],
        quantity=Decimal(row["quantity"]),
        price=Decimal(row["price"]),
        commission=Decimal(row["commission"]),
        realized_pnl=Decimal(row["realized_pnl"]),
        at=from_epoch_ms(row["at_ms"]),
        wire_ms=wire.get(f"trade:{row['trade_id']}"),
    )


@dataclass(slots=True)
class LoggedAccount:
    """One account as the log has it."""

    book: AccountBook = field(default_factory=lambda: AccountBook("USDT"))
    fills: dict[str, OrderFilled] = field(default_factory=dict)
    repeated_fills: list[str] = field(default_factory=list)  # trade ids that the log counts twice
    samples: list[EquitySampled] = field(default_factory=list)


@dataclass(slots=True)
class LogEvidence:
    """Everything a judge needs from the log, in one pass over it."""

    events: int = 0
    signals: int = 0
    intents: dict[OrderId, OrderCreated] = field(default_factory=dict)
    approved: set[OrderId] = field(default_factory=set)
    submissions: dict[OrderId, list[OrderSubmitted]] = field(default_factory=lambda: defaultdict(list))
    sent_when_known: set[OrderId] = field(default_factory=set)  # again after the exchange was known to have it
    unknowns: dict[OrderId, list[int]] = field(default_factory=lambda: defaultdict(list))  # submissions before each
    known: set[OrderId] = field(default_factory=set)  # accepted, filled, canceled or expired
    left_unknown: set[OrderId] = field(default_factory=set)  # asked about, and never answered
    rejected: dict[OrderId, OrderRejected] = field(default_factory=dict)
    protected: dict[OrderId, PositionProtected] = field(default_factory=dict)
    protection_failed: set[OrderId] = field(default_factory=set)
    closed: set[OrderId] = field(default_factory=set)
    accounts: dict[AccountId, LoggedAccount] = field(default_factory=lambda: defaultdict(LoggedAccount))
    linked: dict[AccountId, AccountLinked] = field(default_factory=dict)
    refused_keys: int = 0
    invoices: list[tuple[AccountId, str]] = field(default_factory=list)

    def take(self, event: object) -> None:
        """Take in one event."""
        match event:
            case SignalGenerated():
                self.signals += 1
            case OrderCreated():
                self.intents[event.order_id] = event
            case OrderApproved():
                self.approved.add(event.order_id)
            case OrderSubmitted():
                self.submissions[event.order_id].append(event)
                if event.order_id in self.known:
                    self.sent_when_known.add(event.order_id)
            case OrderSubmissionUnknown():
                self.left_unknown.add(event.order_id)
                self.unknowns[event.order_id].append(len(self.submissions[event.order_id]))
            case OrderRejected():
                self.rejected[event.order_id] = event
                self.left_unknown.discard(event.order_id)
            case OrderAccepted() | OrderCanceled() | OrderExpired():
                self._found(event.order_id)
            case PositionProtected():
                self.protected[event.group_id] = event
            case ProtectionFailed():
                self.protection_failed.add(event.group_id)
            case PositionClosed():
                self.closed.add(event.group_id)
            case _:
                self._take_money(event)

    def _take_money(self, event: object) -> None:
        match event:
            case OrderFilled():
                account = self.accounts[event.account_id]
                if event.trade_id in account.fills:
                    account.repeated_fills.append(event.trade_id)
                account.fills[event.trade_id] = event
                account.book.apply(event)
                self._found(event.order_id)
            case TransferRecorded() | FundingPaid():
                self.accounts[event.account_id].book.apply(event)
            case EquitySampled():
                self.accounts[event.account_id].samples.append(event)
            case AccountLinked():
                self.linked[event.account_id] = event
            case CredentialsRejected():
                self.refused_keys += 1
            case InvoiceIssued() | InvoiceDrafted():
                key = (event.account_id, event.period)
                if key not in self.invoices:
                    self.invoices.append(key)

    def _found(self, order_id: OrderId) -> None:
        self.known.add(order_id)
        self.left_unknown.discard(order_id)

    def sent(self) -> dict[OrderId, OrderCreated]:
        """Return the intents that reached the exchange: sent, and not refused."""
        return {
            order_id: created
            for order_id, created in self.intents.items()
            if order_id in self.submissions and order_id not in self.rejected
        }


async def read_log(store: PostgresEventStore) -> LogEvidence:
    """Read the whole log once."""
    evidence = LogEvidence()
    async for page in store.scan(LogPosition()):
        for envelope in page:
            evidence.events += 1
            evidence.take(Recorded.of(envelope).event)
    return evidence
