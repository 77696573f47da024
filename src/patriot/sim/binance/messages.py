"""Engine events as the venue's WebSocket messages. Field names as in the venue's documents, read 2026-11-22."""

from typing import Any, assert_never

from patriot.sim.binance.render import SELF_TRADE_PREVENTION, money, plain, trimmed
from patriot.sim.engine.events import (
    AccountEvent,
    AccountUpdated,
    AlgoOrderUpdated,
    LeverageChanged,
    MarginCalled,
    OrderUpdated,
    PriceMoved,
)
from patriot.sim.engine.klines import interval_ms
from patriot.sim.engine.records import AlgoOrder, Bar, Depth, Order, PositionView, Trade
from patriot.sim.engine.words import MarginType

Json = dict[str, Any]


def private_message(event: AccountEvent) -> Json:
    """Return the user-data message of an account event."""
    match event:
        case OrderUpdated():
            body: Json = {"o": _order(event)}
            name = "ORDER_TRADE_UPDATE"
        case AlgoOrderUpdated():
            body, name = {"o": _algo_order(event.order)}, "ALGO_UPDATE"
        case AccountUpdated():
            body, name = {"a": _account(event)}, "ACCOUNT_UPDATE"
        case LeverageChanged():
            body, name = {"ac": {"s": event.symbol, "l": event.leverage}}, "ACCOUNT_CONFIG_UPDATE"
        case MarginCalled():
            body = {"cw": money(event.cross_wallet), "p": [_called(view) for view in event.positions]}
            name = "MARGIN_CALL"
        case _:
            assert_never(event)
    return {"e": name, "T": event.at_ms, "E": event.at_ms, **body}


def listen_key_expired(listen_key: str, at_ms: int) -> Json:
    """Return the message that a listen key has ended; the socket stays open."""
    return {"e": "listenKeyExpired", "E": at_ms, "listenKey": listen_key}


def _order(event: OrderUpdated) -> Json:
    record = event.order
    body = {
        "s": record.symbol,
        "c": record.client_order_id,
        "S": record.side.value,
        "o": record.order_type.value,
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
        "ot": record.original_type.value,
        "ps": record.position_side.value,
        "cp": record.close_position,
        "rp": "0",
        "pP": False,
        "si": _algo_id(record),
        "ss": 0,
        "V": SELF_TRADE_PREVENTION,
        "pm": "NONE",
        "gtd": 0,
        "er": "0",
    }
    return body | _fill(event.trade) if event.trade is not None else body


def _algo_id(record: Order) -> int:
    return 0 if record.algo_id is None else record.algo_id


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
        "V": SELF_TRADE_PREVENTION,
        "wt": record.working_type.value,
        "pm": "NONE",
        "cp": record.close_position,
        "pP": record.price_protect,
        "R": record.reduce_only,
        "tt": record.triggered_ms,
        "gtd": 0,
    }
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


def aggregate_trade(event: PriceMoved) -> Json:
    """Return an aggTrade message: one print per price move."""
    return {
        "e": "aggTrade",
        "E": event.at_ms,
        "s": event.ticker.symbol,
        "a": event.trade_id,
        "p": plain(event.ticker.last),
        "q": trimmed(event.quantity),
        "nq": trimmed(event.quantity),
        "f": event.trade_id,
        "l": event.trade_id,
        "T": event.at_ms,
        "m": event.buyer_is_maker,
    }


def mark_price(event: PriceMoved) -> Json:
    """Return a markPriceUpdate message."""
    ticker = event.ticker
    return {
        "e": "markPriceUpdate",
        "E": event.at_ms,
        "s": ticker.symbol,
        "p": plain(ticker.mark),
        "ap": plain(ticker.mark),
        "P": plain(ticker.index),
        "i": plain(ticker.index),
        "r": plain(ticker.funding_rate),
        "T": ticker.next_funding_ms,
    }


def book_ticker(event: PriceMoved) -> Json:
    """Return a bookTicker message."""
    ticker = event.ticker
    return {
        "e": "bookTicker",
        "u": event.trade_id,
        "E": event.at_ms,
        "T": event.at_ms,
        "s": ticker.symbol,
        "b": plain(ticker.bid),
        "B": trimmed(ticker.bid_quantity),
        "a": plain(ticker.ask),
        "A": trimmed(ticker.ask_quantity),
    }


def depth_update(book: Depth, previous_update_id: int) -> Json:
    """Return a depthUpdate message that carries the whole (partial) book."""
    return {
        "e": "depthUpdate",
        "E": book.at_ms,
        "T": book.at_ms,
        "s": book.symbol,
        "U": previous_update_id + 1,
        "u": book.update_id,
        "pu": previous_update_id,
        "b": [[plain(price), trimmed(quantity)] for price, quantity in book.bids],
        "a": [[plain(price), trimmed(quantity)] for price, quantity in book.asks],
    }


def kline(symbol: str, interval: str, bar: Bar, at_ms: int, *, closed: bool) -> Json:
    """Return a kline message."""
    return {
        "e": "kline",
        "E": at_ms,
        "s": symbol,
        "k": {
            "t": bar.open_ms,
            "T": bar.open_ms + interval_ms(interval) - 1,
            "s": symbol,
            "i": interval,
            "f": -1,
            "L": -1,
            "o": plain(bar.open),
            "c": plain(bar.close),
            "h": plain(bar.high),
            "l": plain(bar.low),
            "v": plain(bar.volume),
            "n": bar.trades,
            "x": closed,
            "q": plain(bar.quote_volume),
            "V": plain(bar.taker_buy_volume),
            "Q": plain(bar.taker_buy_quote_volume),
            "B": "0",
        },
    }
