"""Faults on demand: what acceptance tests ask the simulator to do wrong, a counted number of times."""

from dataclasses import dataclass
from enum import StrEnum


class RestFault(StrEnum):
    """What happens to a request: before means that it was not executed, after means that it was."""

    TIMEOUT_BEFORE = "timeout_before"
    TIMEOUT_AFTER = "timeout_after"
    UNAVAILABLE_BEFORE = "503_before"
    UNAVAILABLE_AFTER = "503_after"
    DELAY = "delay"


class StreamFault(StrEnum):
    """What happens to a message of a private stream."""

    DROP = "drop"
    DUPLICATE = "duplicate"
    DISCONNECT = "disconnect"
    DELAY = "delay"


@dataclass(slots=True)
class RestRule:
    fault: RestFault
    method: str | None
    path: str | None
    left: int
    delay_ms: int

    def matches(self, method: str, path: str) -> bool:
        return self.left > 0 and self.method in (None, method) and self.path in (None, path)


@dataclass(slots=True)
class StreamRule:
    fault: StreamFault
    event: str | None  # ORDER_TRADE_UPDATE, ALGO_UPDATE ...
    uid: int | None
    left: int
    delay_ms: int

    def matches(self, uid: int, event: str) -> bool:
        return self.left > 0 and self.event in (None, event) and self.uid in (None, uid)


class Faults:
    """The rules in force; each one is used up by what it hits."""

    def __init__(self) -> None:
        self._rest: list[RestRule] = []
        self._stream: list[StreamRule] = []

    def add(self, rule: RestRule | StreamRule) -> None:
        if isinstance(rule, RestRule):
            self._rest.append(rule)
        else:
            self._stream.append(rule)

    def clear(self) -> None:
        self._rest.clear()
        self._stream.clear()

    def of_request(self, method: str, path: str) -> RestRule | None:
        """Return the first rule that hits this request, one use spent."""
        for rule in self._rest:
            if rule.matches(method, path):
                rule.left -= 1
                self._rest = [other for other in self._rest if other.left > 0]
                return rule
        return None

    def of_message(self, uid: int, event: str) -> StreamRule | None:
        """Return the first rule that hits this private message, one use spent."""
        for rule in self._stream:
            if rule.matches(uid, event):
                rule.left -= 1
                self._stream = [other for other in self._stream if other.left > 0]
                return rule
        return None
