"""How the venue says no: its codes, its words, the HTTP status each one travels with.

Source: Binance USD-M Futures error codes and general info, read 2026-11-22.
"""

from patriot.sim.engine.events import VenueRefusal

HTTP_STATUS = {
    -1003: 429,
    -1013: 413,
    -1015: 429,
    -1125: 400,
    -2014: 401,
    -2015: 401,
    -5000: 404,
}


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


def invalid_data(name: str) -> VenueRefusal:
    """Refuse a value the parameter does not know."""
    return VenueRefusal(-1130, f"Data sent for parameter '{name}' is not valid.")


def no_such_path(method: str, path: str) -> VenueRefusal:
    """Refuse a path that is not served."""
    return VenueRefusal(-5000, f"Path {path}, Method {method} is invalid")


BAD_KEY_FORMAT = (-2014, "API-key format invalid.")
REJECTED_KEY = (-2015, "Invalid API-key, IP, or permissions for action.")
BAD_SIGNATURE = (-1022, "Signature for this request is not valid.")
OUTSIDE_WINDOW = (-1021, "Timestamp for this request is outside of the recvWindow.")
AHEAD_OF_SERVER = (-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
DUPLICATE_PARAMETER = (-1101, "Duplicate values for a parameter detected.")
BODY_TOO_LARGE = (-1013, "INVALID_MESSAGE")
NO_LISTEN_KEY = (-1125, "This listenKey does not exist.")
BAD_INTERVAL = (-1120, "Invalid interval.")
START_AFTER_END = (-1023, "Start time is greater than end time.")
