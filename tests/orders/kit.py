"""One entry and its reports, in few words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from patriot.orders.client_ids import client_id_prefix, client_order_id
from patriot.orders.commands import (
    OpenLeg,
    PlaceOrder,
    RecordAccepted,
    RecordCanceled,
    RecordExpired,
    RecordFill,
    RecordRejected,
    RecordSubmitted,
    RecordTriggered,
    RecordUnknown,
    RequestCancel,
)
from patriot.orders.events import CancelReason, OrderCreated, OrderFilled, RejectStage
from patriot.orders.legs import leg_command
from patriot.risk.commands import EffectiveLimits
from patriot.risk.events import ExposureReserved
from patriot.trading.terms import AccountId, Exchange, Leg, OrderId, OrderType, Side, SignalId, StrategyId, UserId

D = Decimal
NOON = datetime(2030, 1, 2, 12, tzinfo=UTC)
ORDER_ID, USER, ACCOUNT = OrderId(UUID(int=77)), UserId(UUID(int=1)), AccountId(UUID(int=2))
STRATEGY, SIGNAL = StrategyId(UUID(int=3)), SignalId(UUID(int=4))
RESERVED = ExposureReserved(ACCOUNT, ORDER_ID, STRATEGY, "BTCUSDT", D(40_000))
PREFIX = client_id_prefix(ORDER_ID)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def place(**changes: Any) -> PlaceOrder:
    fields: dict[str, Any] = {
        "order_id": ORDER_ID,
        "user_id": USER,
        "account_id": ACCOUNT,
        "strategy_id": STRATEGY,
        "signal_id": SIGNAL,
        "exchange": Exchange.BINANCE,
        "symbol": "BTCUSDT",
        "side": Side.BUY,
        "order_type": OrderType.MARKET,
        "quantity": D(1),
        "price": None,
        "stop_price": D(39_000),
        "take_profit_price": D(42_000),
        "reference_price": D(40_000),
        "valid_until": at(10),
        "risk": None,
        "limits": EffectiveLimits(D(1), D(1), D(1), D(1), D(1)),
        "halt": None,
        "at": NOON,
        "verdict": RESERVED,
    }
    return PlaceOrder(**fields | changes)


def created(quantity: str = "1", **changes: Any) -> OrderCreated:
    fields: dict[str, Any] = {
        "order_id": ORDER_ID,
        "group_id": ORDER_ID,
        "leg": Leg.ENTRY,
        "sequence": 1,
        "user_id": USER,
        "account_id": ACCOUNT,
        "strategy_id": STRATEGY,
        "signal_id": SIGNAL,
        "exchange": Exchange.BINANCE,
        "symbol": "BTCUSDT",
        "side": Side.BUY,
        "order_type": OrderType.MARKET,
        "quantity": D(quantity),
        "price": None,
        "trigger_price": None,
        "time_in_force": None,
        "reduce_only": False,
        "client_order_id": client_order_id(PREFIX, Leg.ENTRY, 1),
        "client_id_prefix": PREFIX,
        "stop_price": D(39_000),
        "take_profit_price": D(42_000),
        "reference_price": D(40_000),
        "valid_until": at(10),
        "created_at": NOON,
    }
    return OrderCreated(**fields | changes)


def open_leg(leg: Leg, sequence: int, quantity: str, entry: OrderCreated | None = None) -> OpenLeg:
    return leg_command(entry or created(), leg, sequence, D(quantity), NOON)


def submitted(attempt: int = 1, seconds: float = 0) -> RecordSubmitted:
    return RecordSubmitted(ORDER_ID, attempt, at(seconds))


def accepted(venue_id: str = "v-1") -> RecordAccepted:
    return RecordAccepted(ORDER_ID, venue_id, NOON)


def rejected(reason: str = "EXCHANGE_REFUSED") -> RecordRejected:
    return RecordRejected(ORDER_ID, RejectStage.EXCHANGE, reason, -2019, "no", NOON)


def unknown() -> RecordUnknown:
    return RecordUnknown(ORDER_ID, "OutcomeUnknown", NOON)


def triggered(venue_id: str = "v-2") -> RecordTriggered:
    return RecordTriggered(ORDER_ID, venue_id, NOON)


def cancel(reason: CancelReason = CancelReason.USER) -> RequestCancel:
    return RequestCancel(ORDER_ID, reason, NOON)


def canceled() -> RecordCanceled:
    return RecordCanceled(ORDER_ID, NOON)


def expired() -> RecordExpired:
    return RecordExpired(ORDER_ID, NOON)


def fill(trade_id: str = "t-1", quantity: str = "1", venue_id: str = "v-1") -> RecordFill:
    return RecordFill(ORDER_ID, trade_id, venue_id, D(quantity), D(40_000), D("0.1"), "USDT", D(0), False, NOON)


def filled(
    trade_id: str = "t-1", quantity: str = "1", cumulative: str | None = None, venue_id: str = "v-1"
) -> OrderFilled:
    return OrderFilled(
        ORDER_ID, ORDER_ID, Leg.ENTRY, USER, ACCOUNT, STRATEGY, Exchange.BINANCE, "BTCUSDT", Side.BUY, trade_id,
        venue_id, D(quantity), D(40_000), D("0.1"), "USDT", D(0), False, D(cumulative or quantity), NOON,
    )  # fmt: skip
