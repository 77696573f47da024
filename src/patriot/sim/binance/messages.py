"""What happens to an account as messages of its user data stream. Field names as in the venue's documents.

Source: USD-M user data streams, read 2026-11-22.
"""

from decimal import Decimal
from typing import Any, Final, assert_never

from patriot.sim.binance.render import money, plain
from patriot.sim.engine.events import (
    AccountEvent,
    AccountUpdated,
    AlgoOrderUpdated,
    LeverageChanged,
    MarginCalled,
    OrderUpdated,
)
from patriot.sim.engine.records import AlgoOrder, Order, PositionView, Trade
from patriot.sim.engine.words import (
    Closing,
    ExecutionType,
    MarginType,
    OrderStatus,
    OrderType,
    TimeInForce,
)

Json = dict[str, Any]

NO_REASON, SELF_TRADE, TAKER_REST, TAKER_SELF_TRADE, NOTHING_TO_REDUCE = "0", "1", "2", "3", "4"  # "er"
_LIQUIDATION: Final = "LIQUIDATION"


def private_messages(event: AccountEvent) -> tuple[Json, ...]:
    """Return the messages of an account event, in the order in which they are sent."""
    match event:
        case OrderUpdated():
            update = _message("ORDER_TRADE_UPDATE", event.at_ms, {"o": _order(event)})
            trade = event.trade
            if trade is None or event.execution_type is not ExecutionType.TRADE:
                return (update,)
            return (_message("TRADE_LITE", event.at_ms, _trade_lite(event.order, trade)), update)
        case AlgoOrderUpdated():
            return (_message("ALGO_UPDATE", event.at_ms, {"o": _algo_order(event.order)}),)
        case AccountUpdated():
            return (_message("ACCOUNT_UPDATE", event.at_ms, {"a": _account(event)}),)
        case LeverageChanged():
            changed = {"s": event.symbol, "l": event.leverage}
            return (_message("ACCOUNT_CONFIG_UPDATE", event.at_ms, {"ac": changed}),)
        case MarginCalled():
            rows = [_called(view) for view in event.positions]
            return (_message("MARGIN_CALL", event.at_ms, {"cw": money(event.cross_wallet), "p": rows}),)
        case _:
            assert_never(event)


def listen_key_expired(listen_key: str, at_ms: int) -> Json:
    """Return the message that a listen key has ended; the socket stays open."""
    return {"e": "listenKeyExpired", "E": at_ms, "listenKey": listen_key}


def symbol_of(message: Json) -> str:
    """Return the symbol a message is about, empty when it is about the account."""
    return str(message.get("o", message).get("s", ""))


def _message(name: str, at_ms: int, body: Json) -> Json:
    return {"e": name, "T": at_ms, "E": at_ms, **body}


def _order(event: OrderUpdated) -> Json:
    record = event.order
    closing = record.closing is not Closing.NOBODY
    body = {
        "s": record.symbol,
        "c": record.client_order_id,
        "S": record.side.value,
        "o": _LIQUIDATION if closing else record.order_type.value,
        "f": record.time_in_force.value,
        "q": plain(record.quantity),
        "p": plain(record.price),
        "ap": plain(record.average_fill_price),
        "sp": "0",
        "x": event.execution_type.value,
        "X": record.status.value,
        "i": record.order_id,
        "l": "0",
        "z": plain(record.filled_quantity),
        "L": "0",
        "T": event.at_ms,
        "t": 0,
        "b": "0",
        "a": "0",
        "m": False,
        "R": record.reduce_only,
        "wt": record.working_type.value,
        "ot": _LIQUIDATION if closing else record.original_type.value,
        "ps": record.position_side.value,
        "cp": record.close_position,
        "rp": "0",
        "pP": False,
        "si": record.algo_id or 0,
        "ss": 0,
        "V": record.self_trade_prevention.value,
        "pm": record.price_match,
        "gtd": record.good_till_ms,
        "er": _expiry_reason(event),
    }
    return body | _fill(event.trade) if event.trade is not None else body


def _expiry_reason(event: OrderUpdated) -> str:
    """Return why an order ended before it was filled: the venue's numbers, 0 when there is nothing to say."""
    record = event.order
    takes = record.order_type is OrderType.MARKET or record.time_in_force in (TimeInForce.IOC, TimeInForce.FOK)
    if record.status is OrderStatus.EXPIRED_IN_MATCH:
        return TAKER_SELF_TRADE if takes else SELF_TRADE
    if event.execution_type is not ExecutionType.EXPIRED:
        return NO_REASON
    if takes:
        return TAKER_REST
    return NOTHING_TO_REDUCE if record.reduce_only else NO_REASON


def _fill(trade: Trade) -> Json:
    return {
        "l": plain(trade.quantity),
        "L": plain(trade.price),
        "n": plain(trade.commission),
        "N": "USDT",
        "t": trade.trade_id,
        "m": trade.maker,
        "rp": plain(trade.realized_pnl),
    }


def _trade_lite(record: Order, trade: Trade) -> Json:
    return {
        "s": record.symbol,
        "q": plain(record.quantity),
        "p": plain(record.price),
        "m": trade.maker,
        "c": record.client_order_id,
        "S": record.side.value,
        "L": plain(trade.price),
        "l": plain(trade.quantity),
        "t": trade.trade_id,
        "i": record.order_id,
    }


def _algo_order(record: AlgoOrder) -> Json:
    body = {
        "caid": record.client_algo_id,
        "aid": record.algo_id,
        "at": "CONDITIONAL",
        "o": record.order_type.value,
        "s": record.symbol,
        "S": record.side.value,
        "ps": record.position_side.value,
        "f": record.time_in_force.value,
        "q": plain(record.quantity),
        "X": record.status.value,
        "ai": "",
        "tp": plain(record.trigger_price),
        "p": plain(record.price),
        "V": record.self_trade_prevention.value,
        "wt": record.working_type.value,
        "pm": "NONE",
        "cp": record.close_position,
        "pP": record.price_protect,
        "R": record.reduce_only,
        "tt": record.triggered_ms,
        "gtd": record.good_till_ms,
    }
    if record.callback_rate is not None:
        body |= {"cr": plain(record.callback_rate), "AP": plain(record.activation_price or Decimal(0))}
    if record.actual_order_id is not None:
        body |= {
            "ai": str(record.actual_order_id),
            "ap": plain(record.actual_price),
            "aq": plain(record.actual_quantity),
            "act": "LIMIT" if record.price else "MARKET",
        }
    if record.reject_reason:
        body["rm"] = record.reject_reason
    return body


def _account(event: AccountUpdated) -> Json:
    return {
        "m": event.reason.value,
        "B": [
            {
                "a": "USDT",
                "wb": money(event.wallet),
                "cw": money(event.cross_wallet),
                "bc": plain(event.balance_change),
            }
        ],
        "P": [_position(view) for view in event.positions],
    }


def _position(view: PositionView) -> Json:
    position = view.position
    return {
        "s": position.symbol,
        "pa": plain(position.quantity),
        "ep": plain(position.entry_price),
        "bep": plain(position.entry_price),
        "cr": plain(position.realized_pnl),
        "up": money(view.unrealized_pnl),
        "mt": "isolated" if view.margin_type is MarginType.ISOLATED else "cross",
        "iw": plain(position.isolated_wallet),
        "ps": position.position_side.value,
        "ma": "USDT",
    }


def _called(view: PositionView) -> Json:
    """Return one position of a MARGIN_CALL."""
    return {
        "s": view.position.symbol,
        "ps": view.position.position_side.value,
        "pa": plain(view.position.quantity),
        "mt": view.margin_type.value,
        "iw": plain(view.position.isolated_wallet),
        "mp": plain(view.mark_price),
        "up": money(view.unrealized_pnl),
        "mm": plain(view.maintenance_margin),
    }
