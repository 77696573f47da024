"""How Bybit says no: retCode and retMsg, and what the engine's refusals are called here.

Source: bybit-exchange.github.io/docs/v5/error, read 2026-11-22; words of clients' logs where the page has none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from patriot.sim.engine import refusals as engine
from patriot.sim.engine.events import VenueRefusal

Words = tuple[int, str]

PARAMETER: Final = (10001, "Request parameter error.")
EMPTY_PARAMETER: Final = (10001, "empty value: apiTimestamp[] apiKey[] apiSignature[]")
BAD_KEY: Final = (10003, "API key is invalid.")
BAD_SIGN: Final = 10004
PERMISSION: Final = (10005, "Permission denied, please check your API key permissions.")
TOO_MANY: Final = (10006, "Too many visits. Exceeded the API Rate Limit.")
INTERNAL: Final = (10016, "Internal System Error.")
NO_ROUTE: Final = (10017, "Route not found.")
IP_LIMIT: Final = (10018, "Exceeded the IP Rate Limit.")
NOT_FOR_UNIFIED: Final = (100028, "The API cannot be accessed by unified account users.")
NO_ORDER: Final = (110001, "order not exists or too late to cancel")
NO_ORDER_TO_AMEND: Final = (110001, "order not exists or too late to replace")
PRICE_RANGE: Final = (110003, "Order price exceeds the allowable range.")
NO_MONEY: Final = (110007, "CheckMarginRatio fail! InsufficientAB")
MAX_STOP_ORDERS: Final = (110009, "The number of stop orders exceeds the maximum allowable limit.")
ALREADY_CANCELED: Final = (110010, "The order has been cancelled.")
COMPLETED: Final = (110008, "The order has been completed or cancelled.")
NO_MARGIN_TO_ADD: Final = (110014, "Insufficient available balance to add additional margin.")
IS_CROSS: Final = (110015, "The position is in cross margin mode.")
LEVERAGE_RISK: Final = (110013, "cannot set leverage gt maxLeverage by risk limit")
REDUCE_ONLY: Final = (110017, "current position is zero, cannot fix reduce-only order qty")
REDUCE_ONLY_SIDE: Final = (110017, "Reduce-only order has same side with current position")
MAX_ORDERS: Final = (110020, "Not allowed to have more than 500 active orders.")
POSITION_LIMIT: Final = (110090, "Exceeds the maximum leverage limit of the current risk limit level.")
MODE_WITH_POSITION: Final = (110024, "Existing position, so the position mode cannot be switched.")
MODE_SAME: Final = (110025, "Position mode is not modified")
MARGIN_MODE_SAME: Final = (110026, "Cross/isolated margin mode is not modified")
MODE_WITH_ORDERS: Final = (110028, "Existing open orders, so the position mode cannot be switched.")
LEVERAGE_SAME: Final = (110043, "leverage not modified")
LEVERAGE_MARGIN: Final = (110044, "Available margin is insufficient.")
DUPLICATE_LINK: Final = (110072, "OrderLinkedID is duplicate")
MARGIN_MODE_FAILED: Final = (110073, "Set margin mode failed")
RISK_SAME: Final = (110075, "RiskId not modified")
ONLY_ISOLATED: Final = (110076, "Only isolated mode can set auto-add-margin")
MIN_NOTIONAL: Final = (110094, "Order does not meet minimum order value {minimum}USDT")
UNCHANGED: Final = (
    10001,
    "The order remains unchanged as the parameters entered match the existing ones.",
)
NO_SELECTION: Final = (
    10001,
    "Missing some parameters that must be filled in, symbol or settleCoin or baseCoin",
)
BELOW_FILLED: Final = (
    110064,
    "The modified contract quantity cannot be less than or equal to the filled quantity.",
)
PARTLY_FILLED: Final = (110059, "Not allowed to modify the TP/SL of a partially filled open order")
ONLY_UNIFIED: Final = (10001, "accountType only support UNIFIED.")
NO_NET_POSITION: Final = (110034, "There is no net position")
TOO_MUCH_TAKEN: Final = (110078, "Added margin more than max can reduce margin")
ILLEGAL_ORDER: Final = (110032, "Order is illegal")
NO_FUNDS: Final = (131212, "User insufficient balance")
NO_DEBT: Final = (182102, "Failed repayment, there are no liabilities in the current currency")
NOT_MODIFIED: Final = (34040, "not modified")
NO_POSITION: Final = (10001, "can not set tp/sl/ts for zero position")
NO_SYMBOL: Final = (10001, "Not supported symbols")
MODE_MISMATCH: Final = (10001, "position idx not match position mode")
HALTED: Final = (110066, "Trading is currently not allowed.")

_QTY: Final = (10001, "The number of contracts exceeds minimum limit allowed")
TOO_MUCH: Final = (10001, "The number of contracts exceeds maximum limit allowed: too large")
_QTY_STEP: Final = (10001, "Qty invalid")
_PRICE: Final = (10001, "Price invalid")
_TRIGGER: Final = (10001, "TriggerPrice invalid")
_LINK: Final = (10001, "params error: orderLinkId invalid")

_MANY_PARTIAL: Final = (110061, "Not allowed to have more than 20 TP/SLs under Partial tpSlMode")
_IMMEDIATE: Final = (110092, "expect Rising, but trigger_price <= current??LastPrice")
_OF_ENGINE: Final[dict[int, Words]] = {
    engine.BAD_UID.code: INTERNAL,
    engine.ILLEGAL_CLIENT_ID.code: _LINK,
    engine.MANDATORY.code: PARAMETER,
    engine.NOT_REQUIRED.code: PARAMETER,
    engine.BAD_PRECISION.code: _QTY_STEP,
    engine.INVALID_TIME_IN_FORCE.code: (10001, "timeInForce invalid"),
    engine.INVALID_ORDER_TYPE.code: (10001, "OrderType invalid"),
    engine.INVALID_INTERVAL.code: (10001, "Invalid period!"),
    engine.INVALID_SYMBOL.code: NO_SYMBOL,
    engine.UNKNOWN_ORDER.code: NO_ORDER,
    engine.NO_SUCH_ORDER.code: NO_ORDER,
    engine.MARGIN_INSUFFICIENT.code: NO_MONEY,
    engine.IMMEDIATE_TRIGGER.code: _IMMEDIATE,
    engine.REDUCE_ONLY_REJECTED.code: REDUCE_ONLY,
    engine.MAX_OPEN_ORDERS.code: MAX_ORDERS,
    engine.MAX_POSITION.code: POSITION_LIMIT,
    engine.LEVERAGE_TOO_SMALL.code: LEVERAGE_MARGIN,
    engine.PRICE_TOO_SMALL.code: _PRICE,
    engine.PRICE_ABOVE_MAX.code: PRICE_RANGE,
    engine.QUANTITY_NOT_POSITIVE.code: _QTY,
    engine.QUANTITY_BELOW_MIN.code: _QTY,
    engine.QUANTITY_ABOVE_MAX.code: TOO_MUCH,
    engine.TRIGGER_TOO_SMALL.code: _TRIGGER,
    engine.TRIGGER_ABOVE_MAX.code: _TRIGGER,
    engine.PRICE_BELOW_MIN.code: PRICE_RANGE,
    engine.PRICE_OFF_TICK.code: _PRICE,
    engine.CLIENT_ID_LENGTH.code: _LINK,
    engine.PRICE_ABOVE_BAND.code: PRICE_RANGE,
    engine.QUANTITY_OFF_STEP.code: _QTY_STEP,
    engine.PRICE_BELOW_BAND.code: PRICE_RANGE,
    engine.INVALID_LEVERAGE.code: LEVERAGE_RISK,
    engine.MAX_ALGO_ORDERS.code: MAX_STOP_ORDERS,
    engine.SAME_MARGIN_TYPE.code: MARGIN_MODE_SAME,
    engine.MARGIN_TYPE_WITH_ORDERS.code: MARGIN_MODE_FAILED,
    engine.MARGIN_TYPE_WITH_POSITION.code: MARGIN_MODE_FAILED,
    engine.SAME_POSITION_MODE.code: MODE_SAME,
    engine.POSITION_SIDE_MISMATCH.code: MODE_MISMATCH,
    engine.POSITION_MODE_WITH_ORDERS.code: MODE_WITH_ORDERS,
    engine.POSITION_MODE_WITH_POSITION.code: MODE_WITH_POSITION,
    engine.DUPLICATE_CLIENT_ID.code: DUPLICATE_LINK,
    engine.USE_ALGO_ENDPOINT.code: PARAMETER,
    engine.CLOSE_POSITION_EXISTS.code: _MANY_PARTIAL,
    engine.NO_BEST_PRICE.code: PRICE_RANGE,
    engine.LEVERAGE_CUT_ISOLATED.code: LEVERAGE_MARGIN,
    engine.BELOW_MIN_NOTIONAL.code: MIN_NOTIONAL,
    engine.TRANSFER_TOO_LARGE.code: NO_FUNDS,
    engine.INVALID_AMOUNT.code: PARAMETER,
    engine.POST_ONLY_REJECTED.code: (170218, "The LIMIT-MAKER order is rejected due to invalid price."),
    engine.ENDS_WITHOUT_POSITION.code: NO_POSITION,
    engine.PROTECTION_WITHOUT_POSITION.code: NO_POSITION,
    engine.TAKE_PROFIT_SIDE.code: PARAMETER,
    engine.STOP_LOSS_SIDE.code: PARAMETER,
    engine.PROTECTION_SIZE.code: (110058, "You can't set TP/SL due to insufficient size of remaining position size."),
    engine.PROTECTION_UNCHANGED.code: NOT_MODIFIED,
    engine.TOO_MANY_PROTECTIONS.code: _MANY_PARTIAL,
    engine.PROTECTION_LIMIT_PRICE.code: (10001, "params error: tpslMode invalid"),
    engine.TRAILING_DISTANCE.code: (10001, "params error: trailingStop invalid"),
    engine.ACTIVATION_SIDE.code: (10001, "params error: activePrice invalid"),
    engine.INVALID_CALLBACK.code: (10001, "params error: trailingStop invalid"),
    engine.INVALID_DATA.code: PARAMETER,
    engine.MARGIN_ONLY_ISOLATED.code: IS_CROSS,
    engine.CROSS_BALANCE_INSUFFICIENT.code: NO_MARGIN_TO_ADD,
    engine.ISOLATED_BALANCE_INSUFFICIENT.code: TOO_MUCH_TAKEN,
    engine.MARGIN_WITHOUT_POSITION.code: NO_NET_POSITION,
    engine.MARGIN_NOT_POSITIVE.code: PARAMETER,
    engine.NOT_TRADING.code: HALTED,
    engine.NOT_TRADING_TO_AMEND.code: HALTED,
    engine.LIMIT_ORDERS_ONLY.code: ILLEGAL_ORDER,
    engine.TOO_MANY_AMENDMENTS.code: ILLEGAL_ORDER,
    engine.SAME_ORDER.code: UNCHANGED,
    engine.AMENDED_BELOW_MIN_NOTIONAL.code: MIN_NOTIONAL,
    engine.BAD_GOOD_TILL.code: PARAMETER,
}
_SIDES: Final = {engine.TAKE_PROFIT_SIDE.code: "TakeProfit", engine.STOP_LOSS_SIDE.code: "StopLoss"}
_AMOUNT: Final = re.compile(r"[0-9]+(\.[0-9]+)?")
_SCALE: Final = 10_000  # the venue writes prices of these messages as whole numbers


class Refused(Exception):
    """Bybit says no: its retCode and retMsg, and the HTTP status it travels with."""

    def __init__(self, code: int, message: str, status: int = 200, result: Mapping[str, Any] | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.result = dict(result or {})


def known_codes() -> frozenset[int]:
    """Return the engine's codes that have words of this venue."""
    return frozenset(_OF_ENGINE)


def of_engine(refusal: VenueRefusal) -> Refused:
    """Return what the venue calls a refusal of the engine."""
    if refusal.code in _SIDES:
        price, reference = (Decimal(found.group()) for found in _AMOUNT.finditer(refusal.message))
        name = _SIDES[refusal.code]
        return wrong_side(name, price, reference, long=(price <= reference) == (name == "TakeProfit"))
    code, message = _OF_ENGINE.get(refusal.code, PARAMETER)
    if code == MIN_NOTIONAL[0]:
        found = _AMOUNT.search(refusal.message)
        message = message.format(minimum=found.group() if found else "5")
    return Refused(code, message)


def bad(name: str) -> Refused:
    """Refuse a value that a parameter does not know."""
    return Refused(10001, f"params error: {name} invalid")


def missing(name: str) -> Refused:
    """Refuse a request without a parameter that it needs."""
    return Refused(10001, f"params error: {name} is required")


def wrong_direction(trigger: Decimal, current: Decimal, watched: str, *, rises: bool) -> Refused:
    """Refuse a trigger price that the watched price has passed already."""
    code, word, sign = (110092, "Rising", "<=") if rises else (110093, "Falling", ">=")
    prices = f"trigger_price[{int(trigger * _SCALE)}] {sign} current[{int(current * _SCALE)}]"
    return Refused(code, f"expect {word}, but {prices}??{watched}")


def wrong_side(name: str, price: Decimal, base: Decimal, *, long: bool) -> Refused:
    """Refuse a TakeProfit or StopLoss on the wrong side of its base price."""
    side = "Buy" if long else "Sell"
    should = "higher than" if long == (name == "TakeProfit") else "lower than"
    scaled = f"{name}:{int(price * _SCALE)} set for {side} position should be {should}"
    return Refused(10001, f"{scaled} base_price:{int(base * _SCALE)}??LastPrice")
