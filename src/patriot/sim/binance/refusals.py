"""How the venue says no: its codes, its words, the HTTP status each one travels with.

What the face refuses by itself; the engine's own refusals stand in engine/refusals.py. Source: Binance USD-M Futures,
error codes and general info, read 2026-11-22. Where the venue's documents name a code and no case for it, the case is
ours and said so beside it.
"""

from patriot.sim.engine.events import VenueRefusal

HTTP_STATUS = {
    -1003: 429,
    -1007: 408,
    -1008: 503,
    -1013: 413,
    -1015: 429,
    -2014: 401,
    -2015: 401,
    -5000: 404,
}  # every other refusal: 400


def http_status(code: int) -> int:
    """Return the HTTP status a refusal travels with."""
    return HTTP_STATUS.get(code, 400)


def missing(name: str) -> VenueRefusal:
    """Refuse a request without a parameter it needs."""
    return VenueRefusal(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def either_missing(first: str, second: str) -> VenueRefusal:
    """Refuse a request that names neither of two."""
    return VenueRefusal(-1102, f"Param '{first}' or '{second}' must be sent, but both were empty/null!")


def illegal_characters(name: str, legal: str) -> VenueRefusal:
    """Refuse a value outside the legal characters."""
    return VenueRefusal(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")


def not_required(name: str) -> VenueRefusal:
    """Refuse a parameter that does not go with the others."""
    return VenueRefusal(-1106, f"Parameter '{name}' sent when not required.")


def invalid_data(name: str) -> VenueRefusal:
    """Refuse a value the parameter does not know."""
    return VenueRefusal(-1130, f"Data sent for parameter '{name}' is not valid.")


def no_such_path(method: str, path: str) -> VenueRefusal:
    """Refuse a path that is not served."""
    return VenueRefusal(-5000, f"Path {path}, Method {method} is invalid")


def bad_batch_size(count: int) -> VenueRefusal:
    """Refuse a batch of too many orders, or of none."""
    return VenueRefusal(-4082, f"Invalid number of batch place orders: {count}")


def interval_too_long(days: int) -> VenueRefusal:
    """Refuse a span between startTime and endTime."""
    return VenueRefusal(-4165, f"Maximum time interval is {days} days")


def more_than_hours(hours: int) -> VenueRefusal:
    """Refuse a span between startTime and endTime."""
    return VenueRefusal(-1127, f"More than {hours} hours between startTime and endTime.")


def bad_depth_limit(limit: int) -> VenueRefusal:
    """Refuse a number of levels that the venue does not give."""
    return VenueRefusal(-4021, f"{limit} is not valid depth limit")


BAD_KEY_FORMAT = (-2014, "API-key format invalid.")
REJECTED_KEY = (-2015, "Invalid API-key, IP, or permissions for action.")
BAD_SIGNATURE = (-1022, "Signature for this request is not valid.")
OUTSIDE_WINDOW = (-1021, "Timestamp for this request is outside of the recvWindow.")
AHEAD_OF_SERVER = (-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
WINDOW_TOO_WIDE = (-1131, "recvWindow must be less than 60000")  # the words of the spot API; futures name none
DUPLICATE_PARAMETER = (-1101, "Duplicate values for a parameter detected.")
UNREADABLE_BODY = (-1100, "Illegal characters found in a parameter.")
BODY_TOO_LARGE = (-1013, "INVALID_MESSAGE")
UNSUPPORTED = (-1020, "This operation is not supported.")
NO_LISTEN_KEY = (
    -1125,
    "This listenKey does not exist. Please use `POST /fapi/v1/listenKey` to recreate `listenKey`",
)
BAD_INTERVAL = (-1120, "Invalid interval.")
BAD_SYMBOL = (-1121, "Invalid symbol.")
BAD_ACCOUNT = (-1109, "Invalid account.")
NO_DEPTH = (-1112, "No orders on book for symbol.")
BAD_TIME_IN_FORCE = (-1115, "Invalid timeInForce.")
BAD_ORDER_TYPE = (-1116, "Invalid orderType.")
BAD_SIDE = (-1117, "Invalid side.")
BAD_COMBINATION = (-1128, "Combination of optional parameters invalid.")
BAD_RESPONSE_TYPE = (-1136, "Invalid newOrderRespType.")
ASSET_NOT_SUPPORTED = (-1126, "This asset is not supported.")
START_AFTER_END = (-1023, "Start time is greater than end time.")
NO_SUCH_ORDER = (-2013, "Order does not exist.")
BAD_WORKING_TYPE = (-4031, "Invalid parameter working type")
TOO_MANY_CANCELS = (-4032, "Exceed maximum cancel order size.")
AMOUNT_NOT_POSITIVE = (-4055, "Amount must be positive.")
BAD_POSITION_SIDE = (-4060, "Invalid position side.")
NOT_OFFERED = (-4084, "Method is not allowed currently. Upcoming soon.")
BAD_CONTRACT_TYPE = (-4104, "Invalid contract type")
USE_ALGO_ENDPOINT = (
    -4120,
    "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead.",
)
QUANTITY_WITH_CLOSE = (-4137, "Quantity must be zero with closePosition equals true")
SELF_TRADES_NOT_OFFERED = (
    -4402,
    "Dear user, as per our Terms of Use and compliance regulations, this feature is not available.",
)
BAD_PAIR = (-4144, "Invalid pair")
SAME_MARGIN_MODE = (-4171, "No need to change margin mode.")
LIMIT_ORDERS_ONLY = (-5025, "Only limit order is supported.")
BAD_PRICE_MATCH = (-5037, "Invalid price match")
PRICE_MATCH_TYPE = (-5038, "Price match only supports order type: LIMIT, STOP AND TAKE_PROFIT")
BAD_SELF_TRADE_PREVENTION = (-5039, "Invalid self trade prevention mode")
BAD_GOOD_TILL_DATE = (
    -5040,
    "The goodTillDate timestamp must be greater than the current time plus 600 seconds "
    "and smaller than 253402300799000",
)
NO_PRICE_TO_MATCH = (-5041, "No depth matches this BBO order")
NOT_REDUCE_ONLY = (-5047, "The original order is not a reduce-only order")
