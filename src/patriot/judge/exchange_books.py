"""What the exchange says of itself: every order, trade, position and permission of every account, read from its state.

The state is plain data, as the simulator's engine writes it (`Venue.state()`) and its control API serves it (`/state`).
"""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from patriot.kernel.clock import from_epoch_ms
from patriot.orders.client_ids import parse_client_order_id

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
    closed: tuple[tuple[datetime, datetime], ...] = ()  # disjoint spans in which it was told to ask for nothing
    wire_closed_ms: tuple[tuple[int, int], ...] = ()  # the same, as `VenueTrade.wire_ms`

    def is_ours(self, trade: VenueTrade) -> bool:
        """Tell whether an execution is one of PATRIOT's orders, not a person's or the exchange's own."""
        return parse_client_order_id(self.order_client_ids.get(trade.order_id, "")) is not None


def read_venue(state: dict[str, Any]) -> tuple[dict[int, VenueAccount], dict[str, Decimal]]:
    """Return the accounts by uid and the mark prices by symbol, from the simulator's `/state`."""
    as_of = from_epoch_ms(state["now_ms"])
    keys, wire = state.get("keys", {}), state.get("wire_ms", NO_WIRE)  # an engine without sockets has neither
    closed, wire_closed = state.get("closed_ms", {}), wire.get("closed", {})
    accounts = {
        int(uid): replace(
            _account(account, keys.get(uid, []), wire["accounts"].get(uid, {}), as_of),
            wire_now_ms=wire["now"],
            closed=tuple((from_epoch_ms(begun), from_epoch_ms(over)) for begun, over in closed.get(uid, ())),
            wire_closed_ms=tuple((begun, over) for begun, over in wire_closed.get(uid, ())),
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
