"""Engine records as the venue's REST answers. Field names as in the venue's documents, read 2026-11-22.

Decimal becomes a plain string (no exponent), time an int of milliseconds, exactly as on the wire.
"""

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from patriot.sim.engine.klines import span
from patriot.sim.engine.records import (
    AlgoOrder,
    Amendment,
    Bar,
    Depth,
    Income,
    Order,
    Ticker,
    Trade,
)
from patriot.sim.engine.words import OrderStatus, OrderType

Json = dict[str, Any]
SELF_TRADE_PREVENTION = "EXPIRE_MAKER"
_EIGHT = Decimal("0.00000001")


def plain(value: Decimal) -> str:
    """Return a Decimal as the wire shows it.

    >>> plain(Decimal("0E-8")), plain(Decimal("1E+2"))
    ('0.00000000', '100')
    """
    text = str(value)
    return format(value, "f") if "E" in text else text


def trimmed(value: Decimal) -> str:
    """Return a computed quantity without the zeros that arithmetic left behind.

    >>> trimmed(Decimal("0.4460000000000000000")), trimmed(Decimal("120"))
    ('0.446', '120')
    """
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def money(value: Decimal) -> str:
    """Return an amount of the quote asset with the venue's eight decimals."""
    return format(value.quantize(_EIGHT, ROUND_HALF_EVEN), "f")


def _none(amount: Decimal) -> Decimal:
    """Return nothing, written with the decimals of an amount."""
    return amount * 0


def order(record: Order) -> Json:
    """Return an order as GET /fapi/v1/order shows it."""
    return {
        "orderId": record.order_id,
        "symbol": record.symbol,
        "status": record.status.value,
        "clientOrderId": record.client_order_id,
        "price": plain(record.price),
        "avgPrice": plain(record.average_fill_price.quantize(_EIGHT, ROUND_HALF_EVEN)),
        "origQty": plain(record.quantity),
        "executedQty": plain(record.filled_quantity or _none(record.quantity)),
        "cumQuote": plain(record.filled_notional or _none(record.price * record.quantity)),
        "timeInForce": record.time_in_force.value,
        "type": record.order_type.value,
        "reduceOnly": record.reduce_only,
        "closePosition": record.close_position,
        "side": record.side.value,
        "positionSide": record.position_side.value,
        "stopPrice": plain(_none(record.price)),
        "workingType": record.working_type.value,
        "priceMatch": record.price_match,
        "selfTradePreventionMode": record.self_trade_prevention.value,
        "goodTillDate": record.good_till_ms,
        "priceProtect": False,
        "origType": record.original_type.value,
        "time": record.created_ms,
        "updateTime": record.updated_ms,
    }


def placed(record: Order, *, full: bool) -> Json:
    """Return the answer to a placement: newOrderRespType RESULT shows the fills, ACK shows the order as it came in."""
    answer = order(record)
    answer["cumQty"] = answer["executedQty"]
    del answer["time"]
    if not full:
        answer |= {
            "status": OrderStatus.NEW.value,
            "executedQty": plain(_none(record.quantity)),
            "cumQty": plain(_none(record.quantity)),
            "cumQuote": plain(_none(record.price * record.quantity)),
            "avgPrice": "0.00",
            "updateTime": record.created_ms,
        }
    return answer


def canceled(record: Order) -> Json:
    """Return the answer to a cancel."""
    answer = order(record)
    answer["cumQty"] = answer["executedQty"]
    return answer


def modified(record: Order, modify_id: int | None) -> Json:
    """Return the answer to a modification, with the number that the client gave it."""
    answer = canceled(record)
    answer["pair"] = record.symbol
    if modify_id is not None:
        answer["modifyId"] = modify_id
    return answer


def amendment(record: Amendment) -> Json:
    """Return one row of orderAmendment."""
    return {
        "amendmentId": record.amendment_id,
        "symbol": record.symbol,
        "pair": record.symbol,
        "orderId": record.order_id,
        "clientOrderId": record.client_order_id,
        "time": record.at_ms,
        "amendment": {
            "price": {"before": plain(record.price_before), "after": plain(record.price_after)},
            "origQty": {"before": plain(record.quantity_before), "after": plain(record.quantity_after)},
            "count": record.count,
        },
    }


def algo_order(record: AlgoOrder) -> Json:
    """Return a conditional order as GET /fapi/v1/algoOrder shows it."""
    answer: Json = {
        "algoId": record.algo_id,
        "clientAlgoId": record.client_algo_id,
        "algoType": "CONDITIONAL",
        "orderType": record.order_type.value,
        "symbol": record.symbol,
        "side": record.side.value,
        "positionSide": record.position_side.value,
        "timeInForce": record.time_in_force.value,
        "quantity": plain(record.quantity),
        "algoStatus": record.status.value,
        "actualOrderId": "" if record.actual_order_id is None else str(record.actual_order_id),
        "actualPrice": plain(record.actual_price),
        "actualQty": plain(record.actual_quantity),
        "triggerPrice": plain(record.trigger_price),
        "price": plain(record.price),
        "icebergQuantity": None,
        "tpTriggerPrice": "0.000",
        "tpPrice": "0.000",
        "slTriggerPrice": "0.000",
        "slPrice": "0.000",
        "tpOrderType": "",
        "selfTradePreventionMode": record.self_trade_prevention.value,
        "workingType": record.working_type.value,
        "priceMatch": "NONE",
        "closePosition": record.close_position,
        "priceProtect": record.price_protect,
        "reduceOnly": record.reduce_only,
        "createTime": record.created_ms,
        "updateTime": record.updated_ms,
        "triggerTime": record.triggered_ms,
        "goodTillDate": record.good_till_ms,
    }
    if record.order_type is OrderType.TRAILING_STOP_MARKET:
        answer["activatePrice"] = plain(record.activation_price) if record.activation_price is not None else "0"
        answer["callbackRate"] = plain(record.callback_rate) if record.callback_rate is not None else "0"
    return answer


def trade(record: Trade) -> Json:
    """Return one row of userTrades."""
    return {
        "symbol": record.symbol,
        "id": record.trade_id,
        "orderId": record.order_id,
        "side": record.side.value,
        "price": plain(record.price),
        "qty": plain(record.quantity),
        "realizedPnl": plain(record.realized_pnl),
        "quoteQty": plain(record.notional),
        "commission": plain(record.commission),
        "commissionAsset": "USDT",
        "time": record.at_ms,
        "positionSide": record.position_side.value,
        "buyer": record.side.value == "BUY",
        "maker": record.maker,
    }


def income(record: Income) -> Json:
    """Return one row of income."""
    return {
        "symbol": record.symbol,
        "incomeType": record.income_type.value,
        "income": plain(record.amount),
        "asset": "USDT",
        "info": record.info,
        "time": record.at_ms,
        "tranId": record.tran_id,
        "tradeId": "" if record.trade_id is None else str(record.trade_id),
    }


def kline(bar: Bar, interval: str) -> list[Any]:
    """Return one row of klines."""
    return [
        bar.open_ms,
        plain(bar.open),
        plain(bar.high),
        plain(bar.low),
        plain(bar.close),
        plain(bar.volume),
        span(interval, bar.open_ms)[1] - 1,
        plain(bar.quote_volume),
        bar.trades,
        plain(bar.taker_buy_volume),
        plain(bar.taker_buy_quote_volume),
        "0",
    ]


def depth(book: Depth) -> Json:
    """Return /fapi/v1/depth."""
    return {
        "lastUpdateId": 2 * book.update_id + 1,  # between two updates of a stream: see stream_depth
        "E": book.at_ms,
        "T": book.at_ms,
        "bids": [[plain(price), plain(quantity)] for price, quantity in book.bids],
        "asks": [[plain(price), plain(quantity)] for price, quantity in book.asks],
    }


def book_ticker(ticker: Ticker) -> Json:
    """Return one row of ticker/bookTicker."""
    return {
        "symbol": ticker.symbol,
        "bidPrice": plain(ticker.bid),
        "bidQty": plain(ticker.bid_quantity),
        "askPrice": plain(ticker.ask),
        "askQty": plain(ticker.ask_quantity),
        "time": ticker.at_ms,
    }


def premium_index(ticker: Ticker, now_ms: int) -> Json:
    """Return one row of premiumIndex."""
    return {
        "symbol": ticker.symbol,
        "markPrice": plain(ticker.mark),
        "indexPrice": plain(ticker.index),
        "estimatedSettlePrice": plain(ticker.index),
        "lastFundingRate": plain(ticker.funding_rate),
        "interestRate": "0.00010000",
        "nextFundingTime": ticker.next_funding_ms,
        "time": now_ms,
    }
