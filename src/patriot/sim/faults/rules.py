"""Faults on demand: the rules in force, and which of them hits a request or a message. No sockets.

A face asks `on_request` for each request and `on_message` for each message it sends; what a hit looks like to a client
is done by `requests.under_faults` and `line.Line`, the same for both faces. A request over an order socket
counts as method "WS" with the frame's own word (order.place, order.create) as its path.

Rules live in this process only: a restart forgets them. What changes the venue itself (a halt, another filter) is no
rule but an operation, is journaled, and lives in actions.py.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from random import Random
from typing import Generic, TypeVar


class RestFault(StrEnum):
    """What happens to a request: before means that it was not executed, after means that it was."""

    DELAY = "delay"  # executed late; goes together with any other
    TIMEOUT_BEFORE = "timeout_before"  # the connection is held without an answer
    TIMEOUT_AFTER = "timeout_after"
    DROP_BEFORE = "drop_before"  # the connection is closed without an answer
    DROP_AFTER = "drop_after"
    UNAVAILABLE_BEFORE = "503_before"
    UNAVAILABLE_AFTER = "503_after"
    ERROR_BEFORE = "error_before"  # a 5xx of choice, in the venue's words or as a gateway's page
    ERROR_AFTER = "error_after"
    REFUSE = "refuse"  # not executed, with a code of choice in the venue's shape
    RATE_LIMIT = "rate_limit"  # 429; Bybit: retCode 10006
    BAN = "ban"  # of the address: 418; Bybit: 403
    OVERLOAD = "overload"  # -1008, reductions exempt; Bybit: retCode 429
    MAINTENANCE = "maintenance"  # every answer says so, sockets are closed and refused

    @property
    def executes(self) -> bool:
        """Whether the request is carried out all the same."""
        return self is RestFault.DELAY or self.value.endswith("_after")


class StreamFault(StrEnum):
    """What happens to a message of a stream."""

    DROP = "drop"
    DUPLICATE = "duplicate"
    DELAY = "delay"
    REORDER = "reorder"  # sent behind the next message of the same stream
    DISCONNECT = "disconnect"  # its sockets are closed instead
    SILENT = "silent"  # nothing but heartbeats


class Channel(StrEnum):
    """Whose messages a stream rule is about."""

    PRIVATE = "private"
    PUBLIC = "public"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Scope:
    """What a rule is limited to; None leaves it open. A path that ends in * stands for all that begin so."""

    venue: str | None = None
    method: str | None = None
    path: str | None = None
    uid: int | None = None
    api_key: str | None = None
    address: str | None = None
    event: str | None = None  # ORDER_TRADE_UPDATE, aggTrade, order, execution ...
    symbol: str | None = None
    channel: Channel = Channel.ALL

    def holds_request(self, request: "Request") -> bool:
        return (
            self.venue in (None, request.venue)
            and self.method in (None, request.method)
            and self._holds_path(request.path)
            and self.uid in (None, request.uid)
            and self.api_key in (None, request.api_key)
            and self.address in (None, request.address)
            and self.symbol in (None, request.symbol)
        )

    def holds_message(self, venue: str, uid: int | None, event: str, symbol: str) -> bool:
        return (
            self.venue in (None, venue)
            and self.uid in (None, uid)
            and self.event in (None, event)
            and self.symbol in (None, symbol)
            and (self.channel is Channel.ALL or (self.channel is Channel.PRIVATE) == (uid is not None))
        )

    def _holds_path(self, path: str) -> bool:
        if self.path is None or not self.path.endswith("*"):
            return self.path in (None, path)
        return path.startswith(self.path[:-1])


@dataclass(frozen=True, slots=True)
class Request:
    """What of a request a rule may look at."""

    venue: str
    method: str
    path: str
    uid: int | None = None
    address: str = ""
    api_key: str = ""
    symbol: str = ""


@dataclass(frozen=True, slots=True)
class Term:
    """How long a rule holds: skip so many matches, then hit so many, in this span of venue time and of real time."""

    times: int | None = 1  # None: without end
    after: int = 0
    from_ms: int | None = None  # venue time, UTC milliseconds
    until_ms: int | None = None
    ends_at: float | None = None  # monotonic seconds


@dataclass(slots=True, kw_only=True)
class Rule:
    """One fault in force, and what it has met and hit so far."""

    rule_id: int = 0
    scope: Scope = Scope()
    term: Term = Term()
    min_ms: int = 0  # latency, drawn evenly between the two
    max_ms: int = 0
    seen: int = 0
    hits: int = 0

    def over(self, now_ms: int, monotonic: float) -> bool:
        """Return whether it can never hit again."""
        term = self.term
        return (
            (term.times is not None and self.hits >= term.times)
            or (term.until_ms is not None and now_ms >= term.until_ms)
            or (term.ends_at is not None and monotonic >= term.ends_at)
        )

    def meet(self, now_ms: int) -> bool:
        """Count a match and return whether it is hit."""
        if self.term.from_ms is not None and now_ms < self.term.from_ms:
            return False
        self.seen += 1
        if self.seen <= self.term.after:
            return False
        self.hits += 1
        return True


@dataclass(slots=True, kw_only=True)
class RestRule(Rule):
    """A fault of requests. As `on_request` gives it, delay_ms is what to wait before anything else."""

    fault: RestFault
    status: int = 503  # of error_before and error_after
    code: int = 0  # of refuse
    message: str = ""  # of refuse
    html: bool = False  # a gateway's page instead of the venue's own body
    retry_after_seconds: int = 60  # of rate_limit and ban
    hold_ms: int = 60_000  # of timeouts: how long the connection is held
    delay_ms: int = 0  # the latency drawn for this request


@dataclass(slots=True, kw_only=True)
class StreamRule(Rule):
    """A fault of messages. As `on_message` gives it, delay_ms is how late the message is to be sent."""

    fault: StreamFault
    delay_ms: int = 0


_R = TypeVar("_R", RestRule, StreamRule)


@dataclass(slots=True)
class _Shelf(Generic[_R]):
    """The rules of one kind, in the order in which they are asked."""

    rules: list[_R] = field(default_factory=list)

    def remove_over(self, now_ms: int, monotonic: float) -> None:
        if any(rule.over(now_ms, monotonic) for rule in self.rules):
            self.rules = [rule for rule in self.rules if not rule.over(now_ms, monotonic)]


_FIRST = (RestFault.MAINTENANCE, RestFault.BAN)  # a venue that is closed is closed to every request


class Faults:
    """The rules in force; each one is used up by what it hits."""

    def __init__(self, now_ms: Callable[[], int], monotonic: Callable[[], float], seed: int = 0) -> None:
        """now_ms is the venue's time, monotonic the real one in seconds; the seed draws latencies."""
        self._now_ms = now_ms
        self._monotonic = monotonic
        self._random = Random(f"faults:{seed}")
        self._rest: _Shelf[RestRule] = _Shelf()
        self._stream: _Shelf[StreamRule] = _Shelf()
        self._newest_id = 0

    # ------------------------------------------------------------------------------------------------ the list

    def next_id(self) -> int:
        """Give out the number of a new fault."""
        self._newest_id += 1
        return self._newest_id

    def add(self, rule: RestRule | StreamRule) -> int:
        """Put a rule in force and return its number."""
        rule.rule_id = rule.rule_id or self.next_id()
        if isinstance(rule, RestRule):
            self._rest.rules.append(rule)
            self._rest.rules.sort(key=lambda other: other.fault not in _FIRST)
        else:
            self._stream.rules.append(rule)
        return rule.rule_id

    def remove(self, rule_id: int) -> bool:
        """Take a rule out of force; return whether there was one."""
        before = len(self._rest.rules) + len(self._stream.rules)
        self._rest.rules = [rule for rule in self._rest.rules if rule.rule_id != rule_id]
        self._stream.rules = [rule for rule in self._stream.rules if rule.rule_id != rule_id]
        return len(self._rest.rules) + len(self._stream.rules) < before

    def clear(self) -> None:
        self._rest.rules = []
        self._stream.rules = []

    # ------------------------------------------------------------------------------------------------ asking

    @property
    def on_rest(self) -> bool:
        """Whether any rule about requests is in force: without one a face need not ask."""
        return bool(self._rest.rules)

    @property
    def on_streams(self) -> bool:
        """Whether any rule about messages is in force."""
        return bool(self._stream.rules)

    @property
    def looks_at_parameters(self) -> bool:
        """Whether a rule about requests must know what query and body say: the symbol, or that it only reduces."""
        return any(rule.scope.symbol is not None or rule.fault is RestFault.OVERLOAD for rule in self._rest.rules)

    def on_request(
        self,
        venue: str,
        method: str,
        path: str,
        uid: int | None,
        address: str,
        *,
        api_key: str = "",
        symbol: str = "",
        exempt: bool = False,
    ) -> RestRule | None:
        """Return the rule that hits this request, one use spent; its delay_ms is drawn and includes delay rules.

        An exempt request only reduces a position: an overloaded venue takes it all the same.
        """
        if not self._rest.rules:
            return None
        request = Request(venue, method, path, uid, address, api_key, symbol)
        latency: RestRule | None = None
        fate: RestRule | None = None
        for rule in self._matching(request):
            is_latency = rule.fault is RestFault.DELAY
            if (latency if is_latency else fate) is not None or (exempt and rule.fault is RestFault.OVERLOAD):
                continue
            if rule.meet(self._now_ms()):
                latency, fate = (rule, fate) if is_latency else (latency, rule)
        hit = fate or latency
        if hit is None:
            return None
        delay_ms = sum(self._draw(rule) for rule in (latency, fate) if rule is not None)
        self._sweep()
        return replace(hit, delay_ms=delay_ms)

    def on_message(self, venue: str, uid: int | None, event: str, *, symbol: str = "") -> StreamRule | None:
        """Return the first rule that hits this message, one use spent; a public message has no uid."""
        if not self._stream.rules:
            return None
        self._sweep()
        for rule in self._stream.rules:
            if rule.scope.holds_message(venue, uid, event, symbol) and rule.meet(self._now_ms()):
                hit = replace(rule, delay_ms=self._draw(rule))
                self._sweep()
                return hit
        return None

    def on_connect(self, venue: str, address: str) -> RestRule | None:
        """Return the rule that keeps a new socket out: maintenance, or a ban of its address. Nothing is spent."""
        self._sweep()
        now_ms = self._now_ms()
        for rule in self._matching(Request(venue, "GET", "", address=address)):
            begun = rule.term.from_ms is None or rule.term.from_ms <= now_ms
            if begun and rule.fault in _FIRST:
                return rule
        return None

    def silent(self, venue: str) -> bool:
        """Return whether every socket of a venue sends nothing but heartbeats."""
        now_ms = self._now_ms()
        self._sweep()
        return any(
            rule.fault is StreamFault.SILENT
            and rule.scope == Scope(venue=rule.scope.venue)
            and rule.scope.venue in (None, venue)
            and (rule.term.from_ms is None or rule.term.from_ms <= now_ms)
            for rule in self._stream.rules
        )

    def _matching(self, request: Request) -> Iterator[RestRule]:
        self._sweep()
        return (rule for rule in tuple(self._rest.rules) if rule.scope.holds_request(request))

    def _draw(self, rule: Rule) -> int:
        return self._random.randint(rule.min_ms, rule.max_ms) if rule.max_ms > rule.min_ms else rule.min_ms

    def _sweep(self) -> None:
        now_ms, monotonic = self._now_ms(), self._monotonic()
        self._rest.remove_over(now_ms, monotonic)
        self._stream.remove_over(now_ms, monotonic)
