"""Orders and executions as REST answers show them.

Source: USD-M Futures "Query Order", "Query Algo Order", "Account Trade List", read 2026-11-22. Fields that nobody needs
are left out.
"""

from collections.abc import Callable
from decimal import Decimal

import msgspec

from patriot.adapters.exchanges.binance.wire import Id, Milliseconds, Unknowns
from patriot.kernel.clock import from_epoch_ms
from patriot.kernel.money import parse_decimal
from patriot.trading.reports import OrderReport, TradeReport, VenueStatus
from patriot.trading.terms import Side

ALGO_PREFIX = "algo:"  # algo ids and order ids are two number ranges that overlap

_ORDER_STATUSES = {
    "NEW": VenueStatus.NEW,
    "PARTIALLY_FILLED": VenueStatus.PARTIALLY_FILLED,
    "FILLED": VenueStatus.FILLED,
    "CANCELED": VenueStatus.CANCELED,
    "REJECTED": VenueStatus.REJECTED,
    "EXPIRED": VenueStatus.EXPIRED,
    "EXPIRED_IN_MATCH": VenueStatus.EXPIRED,
    "NEW_INSURANCE": VenueStatus.NEW,  # a liquidation that the insurance fund works off
    "NEW_ADL": VenueStatus.NEW,
}
_ALGO_STATUSES = {
    "NEW": VenueStatus.NEW,
    "TRIGGERING": VenueStatus.NEW,  # on its way into the matching engine: not a working order yet
    "TRIGGERED": VenueStatus.TRIGGERED,
    "CANCELED": VenueStatus.CANCELED,
    "REJECTED": VenueStatus.REJECTED,
    "EXPIRED": VenueStatus.EXPIRED,
}


def order_status(unknown: Unknowns, text: str) -> VenueStatus:
    """Return the status of a plain order."""
    if text not in _ORDER_STATUSES:
        unknown.seen(f"order status {text}")
    return _ORDER_STATUSES.get(text, VenueStatus.UNKNOWN)


def algo_status(unknown: Unknowns, text: str, quantity: Decimal, executed: Decimal) -> VenueStatus:
    """Return the status of a conditional order; FINISHED means that its working order is filled or gone."""
    if text == "FINISHED":
        return VenueStatus.FILLED if executed and executed >= quantity else VenueStatus.CANCELED
    if text not in _ALGO_STATUSES:
        unknown.seen(f"algo status {text}")
    return _ALGO_STATUSES.get(text, VenueStatus.UNKNOWN)


class _Order(msgspec.Struct, rename="camel"):
    order_id: Id
    symbol: str
    status: str
    client_order_id: str
    side: str
    orig_qty: str
    executed_qty: str
    update_time: Milliseconds


class _Algo(msgspec.Struct, rename="camel"):
    algo_id: Id
    client_algo_id: str
    symbol: str
    side: str
    algo_status: str
    update_time: Milliseconds
    quantity: str = "0"
    actual_order_id: str | int | None = None
    actual_qty: str = "0"


class _Canceled(msgspec.Struct, rename="camel"):
    client_order_id: str | None = None
    client_algo_id: str | None = None


class _Trade(msgspec.Struct, rename="camel"):
    id: Id
    order_id: Id
    symbol: str
    side: str
    price: str
    qty: str
    realized_pnl: str
    commission: str
    commission_asset: str
    time: Milliseconds
    maker: bool


_ORDER = msgspec.json.Decoder(_Order)
_ORDERS = msgspec.json.Decoder(list[_Order])
_ALGO = msgspec.json.Decoder(_Algo)
_ALGOS = msgspec.json.Decoder(list[_Algo])
_TRADES = msgspec.json.Decoder(list[_Trade])


class OrderReader:
    """Turn bodies into reports; what is not known is counted, what cannot be read raises one of `UNREADABLE`."""

    def __init__(self, unknown: Unknowns) -> None:
        self._unknown = unknown

    def order(self, body: bytes) -> OrderReport:
        """Read one plain order."""
        return self._order(_ORDER.decode(body))

    def orders(self, body: bytes) -> list[OrderReport]:
        """Read a list of plain orders."""
        return [self._order(answer) for answer in _ORDERS.decode(body)]

    def algo(self, body: bytes) -> OrderReport:
        """Read one conditional order."""
        return self._algo(_ALGO.decode(body))

    def algos(self, body: bytes) -> list[OrderReport]:
        """Read a list of conditional orders."""
        return [self._algo(answer) for answer in _ALGOS.decode(body)]

    def trades(self, body: bytes) -> list[TradeReport]:
        """Read a page of executions; this list does not carry client order ids."""
        return [_trade(answer) for answer in _TRADES.decode(body)]

    def _order(self, answer: _Order) -> OrderReport:
        return OrderReport(
            client_order_id=answer.client_order_id,
            venue_order_id=str(answer.order_id),
            symbol=answer.symbol,
            side=Side(answer.side),
            status=order_status(self._unknown, answer.status),
            quantity=parse_decimal("origQty", answer.orig_qty),
            executed_quantity=parse_decimal("executedQty", answer.executed_qty),
            at=from_epoch_ms(answer.update_time),
        )

    def _algo(self, answer: _Algo) -> OrderReport:
        quantity, executed = parse_decimal("quantity", answer.quantity), parse_decimal("actualQty", answer.actual_qty)
        return OrderReport(
            client_order_id=answer.client_algo_id,
            venue_order_id=f"{ALGO_PREFIX}{answer.algo_id}",
            symbol=answer.symbol,
            side=Side(answer.side),
            status=algo_status(self._unknown, answer.algo_status, quantity, executed),
            quantity=quantity,
            executed_quantity=executed,
            at=from_epoch_ms(answer.update_time),
            conditional=True,
            triggered_order_id=str(answer.actual_order_id) if answer.actual_order_id else None,
        )


def only_of(
    read: Callable[[bytes], OrderReport],
    symbol: str,
    *,
    client_order_id: str | None = None,
    order_id: str | None = None,
) -> Callable[[bytes], OrderReport]:
    """Return a reader that takes the order that was asked for and no other: an answer may belong to another request."""

    def read_checked(body: bytes) -> OrderReport:
        report = read(body)
        same = report.symbol == symbol and client_order_id in (None, report.client_order_id)
        if not same or order_id not in (None, report.venue_order_id):
            raise ValueError("another order than the one asked for")
        return report

    return read_checked


def canceled(client_order_id: str) -> Callable[[bytes], None]:
    """Return a reader of the answer to a cancel of this order."""

    def read(body: bytes) -> None:
        answer = msgspec.json.decode(body, type=_Canceled)
        if client_order_id not in (answer.client_order_id, answer.client_algo_id):
            raise ValueError("another order than the one to cancel")

    return read


def _trade(answer: _Trade) -> TradeReport:
    return TradeReport(
        trade_id=str(answer.id),
        venue_order_id=str(answer.order_id),
        client_order_id="",
        symbol=answer.symbol,
        side=Side(answer.side),
        quantity=parse_decimal("qty", answer.qty),
        price=parse_decimal("price", answer.price),
        commission=parse_decimal("commission", answer.commission),
        commission_asset=answer.commission_asset,
        realized_pnl=parse_decimal("realizedPnl", answer.realized_pnl),
        is_maker=answer.maker,
        at=from_epoch_ms(answer.time),
    )
