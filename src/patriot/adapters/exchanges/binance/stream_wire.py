"""The private stream's messages as reports.

Source: USD-M Futures user data streams: "Order Update", "Algo Order Update", "Balance and Position Update"; read
2026-11-22.
"""

from decimal import Decimal

import msgspec

from patriot.adapters.exchanges.binance.order_wire import ALGO_PREFIX, algo_status, order_status
from patriot.adapters.exchanges.binance.wire import UNREADABLE, Id, Milliseconds, Unknowns
from patriot.adapters.exchanges.binance.working_orders import WorkingOrders
from patriot.kernel.clock import from_epoch_ms
from patriot.kernel.errors import ExchangeUnavailable
from patriot.kernel.money import ZERO, parse_decimal
from patriot.trading.reports import MoneyMoved, OrderReport, PrivateReport, SettingsChanged, TradeReport
from patriot.trading.terms import Side

KEY_EXPIRED = "listenKeyExpired"
_OF_NO_INTEREST = frozenset(
    {
        "MARGIN_CALL",  # risk watches equity itself
        "TRADE_LITE",  # the same execution, shorter and earlier
        "STRATEGY_UPDATE",
        "GRID_UPDATE",
        "CONDITIONAL_ORDER_TRIGGER_REJECT",  # ALGO_UPDATE says it since 2025-12-15
    }
)
_TRADE_EXECUTIONS = ("TRADE", "CALCULATED")  # CALCULATED: a liquidation
_OTHER_EXECUTIONS = ("NEW", "CANCELED", "EXPIRED", "AMENDMENT", "REJECTED")


class _Head(msgspec.Struct):
    e: str = ""


class _OrderBody(msgspec.Struct):
    symbol: str = msgspec.field(name="s")
    client_order_id: str = msgspec.field(name="c")
    side: str = msgspec.field(name="S")
    quantity: str = msgspec.field(name="q")
    execution_type: str = msgspec.field(name="x")
    status: str = msgspec.field(name="X")
    order_id: Id = msgspec.field(name="i")
    filled_quantity: str = msgspec.field(name="z")
    at: Milliseconds = msgspec.field(name="T")
    trade_id: int = msgspec.field(name="t", default=0)
    last_quantity: str = msgspec.field(name="l", default="0")
    last_price: str = msgspec.field(name="L", default="0")
    commission: str | None = msgspec.field(name="n", default=None)
    commission_asset: str | None = msgspec.field(name="N", default=None)
    realized_pnl: str = msgspec.field(name="rp", default="0")
    maker: bool = msgspec.field(name="m", default=False)


class _OrderMessage(msgspec.Struct):
    o: _OrderBody


class _AlgoBody(msgspec.Struct):
    client_algo_id: str = msgspec.field(name="caid")
    algo_id: Id = msgspec.field(name="aid")
    symbol: str = msgspec.field(name="s")
    side: str = msgspec.field(name="S")
    quantity: str = msgspec.field(name="q")
    status: str = msgspec.field(name="X")
    working_order_id: str | int | None = msgspec.field(name="ai", default=None)
    executed_quantity: str = msgspec.field(name="aq", default="0")


class _AlgoMessage(msgspec.Struct):
    o: _AlgoBody
    at: Milliseconds = msgspec.field(name="T")


class _PositionBody(msgspec.Struct):
    symbol: str = msgspec.field(name="s")


class _AccountBody(msgspec.Struct):
    reason: str = msgspec.field(name="m")
    positions: list[_PositionBody] = msgspec.field(name="P", default_factory=list)


class _ConfigMessage(msgspec.Struct):
    at: Milliseconds = msgspec.field(name="T")
    of_symbol: _PositionBody | None = msgspec.field(name="ac", default=None)


class _AccountMessage(msgspec.Struct):
    a: _AccountBody
    at: Milliseconds = msgspec.field(name="T")


_HEAD = msgspec.json.Decoder(_Head)
_ORDER = msgspec.json.Decoder(_OrderMessage)
_ALGO = msgspec.json.Decoder(_AlgoMessage)
_CONFIG = msgspec.json.Decoder(_ConfigMessage)
_ACCOUNT = msgspec.json.Decoder(_AccountMessage)


class ListenKeyExpired(ExchangeUnavailable):
    """The stream goes silent without closing: it must be opened again with a new key."""


class PrivateReader:
    """Turn messages into reports. What is of no interest or not known gives none; the unknown is counted."""

    def __init__(self, working: WorkingOrders, unknown: Unknowns) -> None:
        self._working = working
        self._unknown = unknown

    def read(self, message: bytes) -> list[PrivateReport] | None:
        """Return the reports of one message; None if it cannot be read, so that something may have been missed.

        Errors: ListenKeyExpired.
        """
        try:
            event = _HEAD.decode(message).e
            if event == KEY_EXPIRED:
                raise ListenKeyExpired("the listen key expired")
            return self._reports(event, message)
        except UNREADABLE as problem:
            self._unknown.seen(f"unreadable message: {type(problem).__name__}")
            return None

    def _reports(self, event: str, message: bytes) -> list[PrivateReport]:
        match event:
            case "ORDER_TRADE_UPDATE":
                return self._order(_ORDER.decode(message).o)
            case "ALGO_UPDATE":
                return self._algo(_ALGO.decode(message))
            case "ACCOUNT_UPDATE":
                return _money(_ACCOUNT.decode(message))
            case "ACCOUNT_CONFIG_UPDATE":
                changed = _CONFIG.decode(message)
                symbol = "" if changed.of_symbol is None else changed.of_symbol.symbol
                return [SettingsChanged(symbol, from_epoch_ms(changed.at))]
            case _:
                if event not in _OF_NO_INTEREST:
                    self._unknown.seen(f"event {event}")
                return []

    def _order(self, body: _OrderBody) -> list[PrivateReport]:
        report = OrderReport(
            client_order_id=body.client_order_id,
            venue_order_id=str(body.order_id),
            symbol=body.symbol,
            side=Side(body.side),
            status=order_status(self._unknown, body.status),
            quantity=parse_decimal("q", body.quantity),
            executed_quantity=parse_decimal("z", body.filled_quantity),
            at=from_epoch_ms(body.at),
        )
        last_quantity = parse_decimal("l", body.last_quantity)
        if body.execution_type not in _TRADE_EXECUTIONS + _OTHER_EXECUTIONS:
            self._unknown.seen(f"execution type {body.execution_type}")
        owned = self._working.own_order(report)
        if body.execution_type not in _TRADE_EXECUTIONS or not last_quantity:
            return [owned]
        return [self._working.streamed_trade(_trade(body, last_quantity)), owned]

    def _algo(self, message: _AlgoMessage) -> list[PrivateReport]:
        body = message.o
        quantity, executed = parse_decimal("q", body.quantity), parse_decimal("aq", body.executed_quantity)
        report = OrderReport(
            client_order_id=body.client_algo_id,
            venue_order_id=f"{ALGO_PREFIX}{body.algo_id}",
            symbol=body.symbol,
            side=Side(body.side),
            status=algo_status(self._unknown, body.status, quantity, executed),
            quantity=quantity,
            executed_quantity=executed,
            at=from_epoch_ms(message.at),
            conditional=True,
            triggered_order_id=str(body.working_order_id) if body.working_order_id else None,
        )
        return [report, *self._working.learn(report)]


def _money(message: _AccountMessage) -> list[PrivateReport]:
    at = from_epoch_ms(message.at)
    match message.a.reason:
        case "ORDER":
            return []  # the trade itself is reported
        case "MARGIN_TYPE_CHANGE":
            return [SettingsChanged(symbol, at) for symbol in [row.symbol for row in message.a.positions] or [""]]
        case reason:
            return [MoneyMoved(reason, at)]


def _trade(body: _OrderBody, quantity: Decimal) -> TradeReport:
    return TradeReport(
        trade_id=str(body.trade_id),
        venue_order_id=str(body.order_id),
        client_order_id=body.client_order_id,
        symbol=body.symbol,
        side=Side(body.side),
        quantity=quantity,
        price=parse_decimal("L", body.last_price),
        commission=ZERO if body.commission is None else parse_decimal("n", body.commission),
        commission_asset=body.commission_asset or "",
        realized_pnl=parse_decimal("rp", body.realized_pnl),
        is_maker=body.maker,
        at=from_epoch_ms(body.at),
    )
