"""The venue's refusals: codes and words of Binance USD-M futures.

Source: developers.binance.com, USD-M futures, "Error Code", read 2026-11.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from patriot.sim.engine.events import VenueRefusal


@dataclass(frozen=True, slots=True)
class Words:
    """A code and its message; fields in braces are filled in by because()."""

    code: int
    message: str

    def because(self, **fields: object) -> VenueRefusal:
        return VenueRefusal(self.code, self.message.format(**fields) if fields else self.message)


BAD_UID: Final = Words(-1000, "Account {uid} exists already, or is not between 1 and {largest}.")
ILLEGAL_CLIENT_ID: Final = Words(
    -1100,
    "Illegal characters found in parameter '{parameter}'; legal range is '^[\\.A-Z\\:/a-z0-9_-]{{1,36}}$'.",
)
MANDATORY: Final = Words(-1102, "Mandatory parameter '{parameter}' was not sent, was empty/null, or malformed.")
ONE_ID_NEEDED: Final = Words(-1102, "Param '{first}' or '{second}' must be sent, but both were empty/null!")
NOT_REQUIRED: Final = Words(-1106, "Parameter '{parameter}' sent when not required.")
BAD_PRECISION: Final = Words(-1111, "Precision is over the maximum defined for this asset.")
INVALID_TIME_IN_FORCE: Final = Words(-1115, "Invalid timeInForce.")
INVALID_ORDER_TYPE: Final = Words(-1116, "Invalid orderType.")
INVALID_INTERVAL: Final = Words(-1120, "Invalid interval.")
INVALID_SYMBOL: Final = Words(-1121, "Invalid symbol.")
INVALID_CALLBACK: Final = Words(-2007, "Invalid callBack rate.")
UNKNOWN_ORDER: Final = Words(-2011, "Unknown order sent.")
NO_SUCH_ORDER: Final = Words(-2013, "Order does not exist.")
INVALID_DATA: Final = Words(-1130, "Data sent for parameter '{parameter}' is not valid.")
MARGIN_INSUFFICIENT: Final = Words(-2019, "Margin is insufficient.")
IMMEDIATE_TRIGGER: Final = Words(-2021, "Order would immediately trigger.")
REDUCE_ONLY_REJECTED: Final = Words(-2022, "ReduceOnly Order is rejected.")
MAX_OPEN_ORDERS: Final = Words(-2025, "Reach max open order limit.")
MAX_POSITION: Final = Words(-2027, "Exceeded the maximum allowable position at current leverage.")
LEVERAGE_TOO_SMALL: Final = Words(-2028, "Leverage is smaller than permitted: insufficient margin balance.")
PRICE_TOO_SMALL: Final = Words(-4001, "Price less than 0.")
PRICE_ABOVE_MAX: Final = Words(-4002, "Price greater than max price.")
QUANTITY_NOT_POSITIVE: Final = Words(-4003, "Quantity less than or equal to zero.")
QUANTITY_BELOW_MIN: Final = Words(-4004, "Quantity less than min quantity.")
QUANTITY_ABOVE_MAX: Final = Words(-4005, "Quantity greater than max quantity.")
TRIGGER_TOO_SMALL: Final = Words(-4006, "Stop price less than zero.")
TRIGGER_ABOVE_MAX: Final = Words(-4007, "Stop price greater than max price.")
PRICE_BELOW_MIN: Final = Words(-4013, "Price less than min price.")
PRICE_OFF_TICK: Final = Words(-4014, "Price not increased by tick size.")
CLIENT_ID_LENGTH: Final = Words(-4015, "Client order id length should be less than 36 chars")
PRICE_ABOVE_BAND: Final = Words(-4016, "Limit price can't be higher than {limit}.")
QUANTITY_OFF_STEP: Final = Words(-4023, "Quantity not increased by step size.")
PRICE_BELOW_BAND: Final = Words(-4024, "Limit price can't be lower than {limit}.")
INVALID_LEVERAGE: Final = Words(-4028, "Leverage {leverage} is not valid")
MAX_ALGO_ORDERS: Final = Words(-4045, "Reach max stop order limit.")
SAME_MARGIN_TYPE: Final = Words(-4046, "No need to change margin type.")
MARGIN_TYPE_WITH_ORDERS: Final = Words(-4047, "Margin type cannot be changed if there exists open orders.")
MARGIN_TYPE_WITH_POSITION: Final = Words(-4048, "Margin type cannot be changed if there exists position.")
MARGIN_ONLY_ISOLATED: Final = Words(-4049, "Add margin only support for isolated position.")
CROSS_BALANCE_INSUFFICIENT: Final = Words(-4050, "Cross balance insufficient.")
ISOLATED_BALANCE_INSUFFICIENT: Final = Words(-4051, "Isolated balance insufficient.")
MARGIN_WITHOUT_POSITION: Final = Words(-4054, "Cannot add position margin: position is 0.")
MARGIN_NOT_POSITIVE: Final = Words(-4055, "Amount must be positive.")
SAME_POSITION_MODE: Final = Words(-4059, "No need to change position side.")
POSITION_SIDE_MISMATCH: Final = Words(-4061, "Order's position side does not match user's setting.")
POSITION_MODE_WITH_ORDERS: Final = Words(-4067, "Position side cannot be changed if there exists open orders.")
POSITION_MODE_WITH_POSITION: Final = Words(-4068, "Position side cannot be changed if there exists position.")
DUPLICATE_CLIENT_ID: Final = Words(-4116, "ClientOrderId is duplicated.")
USE_ALGO_ENDPOINT: Final = Words(
    -4120, "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead."
)
CLOSE_POSITION_EXISTS: Final = Words(
    -4130, "An open stop or take profit order with GTE and closePosition in the direction is existing."
)
NO_BEST_PRICE: Final = Words(-4131, "The counterparty's best price does not meet the PERCENT_PRICE filter limit.")
NOT_TRADING: Final = Words(-4140, "Invalid symbol status for opening position.")
LEVERAGE_CUT_ISOLATED: Final = Words(
    -4161, "Leverage reduction is not supported in Isolated Margin Mode with open positions."
)
BELOW_MIN_NOTIONAL: Final = Words(
    -4164, "Order's notional must be no smaller than {minimum} (unless you choose reduce only)."
)
ENDS_WITHOUT_POSITION: Final = Words(
    -4509,
    "Time in Force (TIF) GTE can only be used with open positions. Please ensure that positions are available.",
)
TRANSFER_TOO_LARGE: Final = Words(-5013, "Asset transfer failed: insufficient balance")
INVALID_AMOUNT: Final = Words(-5021, "Amount must be a finite number other than zero, at most 8 decimals.")
FILL_OR_KILL_REJECTED: Final = Words(
    -5021,
    "Due to the order could not be filled immediately, the FOK order has been rejected. "
    "The order will not be recorded in the order history",
)
POST_ONLY_REJECTED: Final = Words(
    -5022,
    "Due to the order could not be executed as maker, the Post Only order will be rejected. "
    "The order will not be recorded in the order history",
)
NOT_TRADING_TO_AMEND: Final = Words(-5024, "Symbol is not in trading status. Order amendment is not permitted.")
LIMIT_ORDERS_ONLY: Final = Words(-5025, "Only limit order is supported.")
TOO_MANY_AMENDMENTS: Final = Words(-5026, "Exceed maximum modify order limit.")
SAME_ORDER: Final = Words(-5027, "No need to modify the order.")
AMENDED_BELOW_MIN_NOTIONAL: Final = Words(-5029, "Order's notional must be no smaller than {minimum}")
BAD_GOOD_TILL: Final = Words(
    -5040,
    "The goodTillDate timestamp must be greater than the current time plus 600 seconds "
    "and smaller than 253402300799000 (UTC 9999-12-31 23:59:59)",
)

# What Binance has no code for, since its positions carry no protection of their own: numbers of this engine.
PROTECTION_WITHOUT_POSITION: Final = Words(-90001, "There is no position to protect.")
TAKE_PROFIT_SIDE: Final = Words(-90002, "Take profit {price} is not on the winning side of {reference}.")
STOP_LOSS_SIDE: Final = Words(-90003, "Stop loss {price} is not on the losing side of {reference}.")
PROTECTION_SIZE: Final = Words(-90004, "Size {size} is not between 0 and the position of {held}.")
PROTECTION_UNCHANGED: Final = Words(-90005, "Nothing of the position's protection would change.")
TOO_MANY_PROTECTIONS: Final = Words(-90006, "At most {most} partial protections may stand on a position.")
PROTECTION_LIMIT_PRICE: Final = Words(-90007, "A limit price of a protection needs a size: partial mode.")
TRAILING_DISTANCE: Final = Words(-90008, "Trailing distance {distance} is not between 0 and the price.")
ACTIVATION_SIDE: Final = Words(-90009, "Activation price {price} has been passed by {reference} already.")
