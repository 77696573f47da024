"""The frames that clients send on the stream host: subscribe, unsubscribe, list, set and get properties.

Source: "Live Subscribing/Unsubscribing to streams", USD-M WebSocket market streams, read 2026-11-22.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from patriot.sim.binance.subscriptions import StreamSession, Subscriptions, Topic

MAX_STREAMS = 1_024  # per connection; Source: USD-M WebSocket limits, read 2026-11-22
MAX_METHOD_SHOWN = 40

Json = dict[str, Any]
OnTopic = Callable[[StreamSession, Topic], None]

_METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
_UNKNOWN_PROPERTY = (0, "Unknown property")
_NOT_BOOLEAN = (1, "Invalid value type: expected Boolean")


class _Refused(Exception):
    """What is wrong with a frame: the venue's code and words."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class StreamFrames:
    """The live-subscribe protocol; on_topic is told of each topic that a socket begins to hear."""

    def __init__(self, subscriptions: Subscriptions, on_topic: OnTopic) -> None:
        self._subscriptions = subscriptions
        self._on_topic = on_topic

    def answer(self, session: StreamSession, text: str) -> Json:
        """Carry out a frame and return the answer to it; a bad one changes nothing."""
        try:
            frame = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError) as error:
            return {"error": {"code": 3, "msg": f"Invalid JSON: {error}"}}
        number = frame.get("id") if isinstance(frame, dict) else None
        is_number = isinstance(number, int) and not isinstance(number, bool) and number >= 0
        if not is_number and not isinstance(number, str | None):
            return _error(None, 2, "Invalid request: request ID must be an unsigned integer or a string")
        try:
            return {"result": self._result(session, frame), "id": number}
        except _Refused as refused:
            return _error(number, refused.code, refused.text)

    def _result(self, session: StreamSession, frame: object) -> object:
        if not isinstance(frame, dict) or "method" not in frame:
            raise _Refused(2, "Invalid request: missing field `method`")
        match frame["method"], frame.get("params", []):
            case "SUBSCRIBE", parameters:
                self.subscribe(session, _stream_names(parameters))
            case "UNSUBSCRIBE", parameters:
                self._subscriptions.remove(session, _stream_names(parameters))
            case "LIST_SUBSCRIPTIONS", _:
                return list(session.streams)
            case "SET_PROPERTY", parameters:
                self._set_property(session, parameters)
            case "GET_PROPERTY", parameters:
                _check_property(parameters, length=1)
                return session.combined
            case method, _:
                known = ", ".join(f"`{name}`" for name in _METHODS)
                shown = str(method)[:MAX_METHOD_SHOWN]
                raise _Refused(2, f"Invalid request: unknown variant `{shown}`, expected one of {known}")
        return None

    def subscribe(self, session: StreamSession, names: list[str]) -> None:
        """Subscribe to streams, all or, above the connection's limit, none of them."""
        if len(session.streams.keys() | set(names)) > MAX_STREAMS:
            raise _Refused(2, f"Invalid request: at most {MAX_STREAMS} streams on a connection")
        for name in names:
            topic = self._subscriptions.add(session, name)
            if topic is not None:
                self._on_topic(session, topic)

    def _set_property(self, session: StreamSession, parameters: object) -> None:
        values = _check_property(parameters, length=2)
        if not isinstance(values[1], bool):
            raise _Refused(*_NOT_BOOLEAN)
        self._subscriptions.set_combined(session, values[1])

    def subscribe_from_address(self, session: StreamSession, names: list[str]) -> bool:
        """Subscribe to the streams that stand in an address; return whether they are within the limit."""
        try:
            self.subscribe(session, names)
        except _Refused:
            return False
        return True


def _stream_names(parameters: object) -> list[str]:
    if not isinstance(parameters, list) or not all(isinstance(name, str) for name in parameters):
        raise _Refused(2, "Invalid request: params must be an array of strings")
    return parameters


def _check_property(parameters: object, *, length: int) -> list[Any]:
    if not isinstance(parameters, list) or not parameters or not isinstance(parameters[0], str):
        raise _Refused(2, "Invalid request: property name must be a string")
    if len(parameters) > length:
        raise _Refused(2, "Invalid request: too many parameters")
    if parameters[0] != "combined":
        raise _Refused(*_UNKNOWN_PROPERTY)
    if len(parameters) < length:
        raise _Refused(*_NOT_BOOLEAN)
    return parameters


def _error(number: int | str | None, code: int, text: str) -> Json:
    return {"error": {"code": code, "msg": text}, "id": number}
