"""What can be asked for as a fault, by the control API and by a scenario file: one shape, checked in one place."""

from enum import StrEnum

import msgspec

from patriot.kernel.errors import InvalidInput
from patriot.sim.engine.words import Permission
from patriot.sim.exchange import VenueName
from patriot.sim.faults.requests import ERROR_STATUSES
from patriot.sim.faults.rules import Channel, RestFault, RestRule, Scope, StreamFault, StreamRule, Term

MAX_TIMES = 1_000_000
MAX_DELAY_MS = 600_000
MAX_SKEW_MS = 86_400_000
MAX_PARTS = 100
MAX_SHOCK_MINUTES = 1_440
_LASTING = (RestFault.BAN, RestFault.MAINTENANCE, StreamFault.SILENT)  # these hit all there is until they end


class Action(StrEnum):
    """What is done to the venue itself."""

    DISCONNECT = "disconnect"
    EXPIRE_LISTEN_KEY = "expire_listen_key"  # the sockets stay open, as on the venue
    CLOCK_SKEW = "clock_skew"
    PARTIAL_FILLS = "partial_fills"
    PRICE_SHOCK = "price_shock"
    HALT = "halt"
    RESUME = "resume"
    CHANGE_INSTRUMENT = "change_instrument"
    REVOKE_KEY = "revoke_key"
    SET_PERMISSIONS = "set_permissions"
    DRAIN_INSURANCE = "drain_insurance"


class RequestMatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    method: str | None = None
    path: str | None = None


class FaultWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Exactly one of fault (of requests), stream (of messages) or action (on the venue), and what it needs.

    Units: milliseconds of venue time (from_ms, until_ms, for_ms), of real time (delay_ms, min_ms, max_ms), and real
    seconds (seconds, retry_after_seconds). Amounts and factors are decimal strings.
    """

    fault: RestFault | None = None
    stream: StreamFault | None = None
    action: Action | None = None
    # what it is limited to
    venue: VenueName | None = None
    match: RequestMatch = RequestMatch()
    uid: int | None = None
    api_key: str | None = None
    address: str | None = None
    event: str | None = None
    symbol: str | None = None
    channel: Channel | None = None
    # how long it holds
    times: int | None = None
    after: int = 0
    from_ms: int | None = None
    until_ms: int | None = None
    for_ms: int | None = None
    seconds: float | None = None
    # how it looks
    delay_ms: int = 0
    min_ms: int | None = None
    max_ms: int | None = None
    status: int = 503
    code: int = 0
    message: str = ""
    html: bool = False
    retry_after_seconds: int = 60
    # what an action does
    abrupt: bool = False  # disconnect: the line is cut, without a close frame
    announced: bool = True  # expire_listen_key: with its event
    skew_ms: int = 0
    parts: int = 0
    factor: str = ""
    minutes: int = 5
    tick_size: str | None = None
    step_size: str | None = None
    min_quantity: str | None = None
    max_quantity: str | None = None
    min_notional: str | None = None
    permissions: tuple[Permission, ...] | None = None


_SPAN = {"venue", "from_ms", "until_ms", "for_ms", "seconds"}
_COUNT = {"times", "after", "delay_ms", "min_ms", "max_ms"}
_FILTERS = {"tick_size", "step_size", "min_quantity", "max_quantity", "min_notional"}
_OF_REST = {
    "fault",
    "match",
    "uid",
    "api_key",
    "address",
    "symbol",
    "status",
    "code",
    "message",
    "html",
    "retry_after_seconds",
}
_OF_STREAM = {"stream", "event", "uid", "symbol", "channel"}
_OF_ACTION: dict[Action, set[str]] = {
    Action.DISCONNECT: {"uid", "abrupt"},
    Action.EXPIRE_LISTEN_KEY: {"uid", "announced"},
    Action.CLOCK_SKEW: {"skew_ms"},
    Action.PARTIAL_FILLS: {"symbol", "parts"},
    Action.PRICE_SHOCK: {"symbol", "factor", "minutes"},
    Action.HALT: {"symbol"},
    Action.RESUME: {"symbol"},
    Action.CHANGE_INSTRUMENT: {"symbol", *_FILTERS},
    Action.REVOKE_KEY: {"api_key", "uid"},
    Action.SET_PERMISSIONS: {"api_key", "uid", "permissions"},
    Action.DRAIN_INSURANCE: set(),
}


def check(wish: FaultWish) -> None:
    """Refuse a wish that says too much, too little, or what cannot be. Errors: InvalidInput names the field."""
    kinds = [kind for kind in (wish.fault, wish.stream, wish.action) if kind is not None]
    if len(kinds) != 1:
        raise InvalidInput("fault", "expected exactly one of fault, stream and action")
    _refuse_foreign_fields(wish, kinds[0])
    _check_range("times", wish.times, 1, MAX_TIMES)
    _check_range("after", wish.after, 0, MAX_TIMES)
    for name in ("delay_ms", "min_ms", "max_ms"):
        _check_range(name, getattr(wish, name), 0, MAX_DELAY_MS)
    for name in ("from_ms", "until_ms", "for_ms"):
        _check_range(name, getattr(wish, name), 0, 1 << 53)
    latest = latency(wish)
    if latest[0] > latest[1]:
        raise InvalidInput("max_ms", f"expected at least min_ms, {latest[0]}, found {latest[1]}")
    if wish.seconds is not None and not 0 < wish.seconds <= 10_000_000:
        raise InvalidInput("seconds", f"expected more than 0, found {wish.seconds}")
    if wish.until_ms is not None and wish.for_ms is not None:
        raise InvalidInput("for_ms", "expected either until_ms or for_ms")
    if wish.status not in ERROR_STATUSES:
        raise InvalidInput("status", f"expected one of {', '.join(map(str, ERROR_STATUSES))}, found {wish.status}")
    if (wish.fault is RestFault.REFUSE) == (wish.code == 0):
        raise InvalidInput("code", f"expected the venue's code, with refuse and nothing else, found {wish.code}")
    _check_range("retry_after_seconds", wish.retry_after_seconds, 0, 3 * 86_400)
    if wish.action is not None:
        _check_action(wish, wish.action)


def _refuse_foreign_fields(wish: FaultWish, kind: RestFault | StreamFault | Action) -> None:
    allowed = _SPAN | {"action"}
    if isinstance(kind, Action):
        allowed |= _OF_ACTION[kind]
    else:
        allowed = _SPAN | _COUNT | (_OF_REST if isinstance(kind, RestFault) else _OF_STREAM)
    given = {name for name in wish.__struct_fields__ if getattr(wish, name) != getattr(FaultWish(), name)}
    for name in sorted(given - allowed):
        raise InvalidInput(name, f"means nothing to {kind.value}")


def _check_action(wish: FaultWish, action: Action) -> None:
    match action:
        case Action.CLOCK_SKEW:
            _check_range("skew_ms", wish.skew_ms, -MAX_SKEW_MS, MAX_SKEW_MS)
        case Action.PARTIAL_FILLS:
            _check_range("parts", wish.parts, 1, MAX_PARTS)
        case Action.PRICE_SHOCK:
            _check_range("minutes", wish.minutes, 1, MAX_SHOCK_MINUTES)
            _need(wish, "factor")
        case Action.HALT | Action.RESUME:
            _need(wish, "symbol")
        case Action.CHANGE_INSTRUMENT:
            _need(wish, "symbol")
            if all(getattr(wish, name) is None for name in _FILTERS):
                raise InvalidInput("tick_size", f"expected at least one of {', '.join(sorted(_FILTERS))}")
        case Action.REVOKE_KEY | Action.SET_PERMISSIONS:
            if (wish.api_key is None) == (wish.uid is None):
                raise InvalidInput("api_key", f"{action} needs either api_key or uid (its newest key)")
            if action is Action.SET_PERMISSIONS:
                _need(wish, "permissions")
        case Action.DISCONNECT | Action.EXPIRE_LISTEN_KEY | Action.DRAIN_INSURANCE:
            pass


def _need(wish: FaultWish, name: str) -> None:
    if getattr(wish, name) in (None, ""):
        raise InvalidInput(name, f"{wish.action} needs it")


def _check_range(name: str, value: int | None, least: int, most: int) -> None:
    if value is not None and not least <= value <= most:
        raise InvalidInput(name, f"expected {least} to {most}, found {value}")


# ---------------------------------------------------------------------------------------------------- as rules


def latency(wish: FaultWish) -> tuple[int, int]:
    """Return the least and the most of its delay in milliseconds."""
    least = wish.delay_ms if wish.min_ms is None else wish.min_ms
    return least, max(least, wish.delay_ms) if wish.max_ms is None else wish.max_ms


def end_ms(wish: FaultWish, now_ms: int) -> int | None:
    """Return when a wish ends in venue time, None when venue time does not end it."""
    if wish.for_ms is None:
        return wish.until_ms
    return max(now_ms, wish.from_ms or 0) + wish.for_ms


def rule_of(wish: FaultWish, now_ms: int, monotonic: float) -> RestRule | StreamRule:
    """Return the rule that a wish about requests or messages stands for."""
    lasting = end_ms(wish, now_ms) is not None or wish.seconds is not None or (wish.fault or wish.stream) in _LASTING
    term = Term(
        times=1 if wish.times is None and not lasting else wish.times,
        after=wish.after,
        from_ms=wish.from_ms,
        until_ms=end_ms(wish, now_ms),
        ends_at=None if wish.seconds is None else monotonic + wish.seconds,
    )
    least, most = latency(wish)
    if wish.stream is not None:
        scope = Scope(
            venue=wish.venue, uid=wish.uid, event=wish.event, symbol=wish.symbol, channel=_channel(wish, wish.stream)
        )
        return StreamRule(fault=wish.stream, scope=scope, term=term, min_ms=least, max_ms=most)
    if wish.fault is None:
        raise InvalidInput("fault", f"{wish.action} is no rule")
    scope = Scope(
        venue=wish.venue,
        method=wish.match.method,
        path=wish.match.path,
        uid=wish.uid,
        api_key=wish.api_key,
        address=wish.address,
        symbol=wish.symbol,
    )
    rule = RestRule(
        fault=wish.fault,
        scope=scope,
        term=term,
        status=wish.status,
        code=wish.code,
        message=wish.message,
        html=wish.html,
        retry_after_seconds=wish.retry_after_seconds,
    )
    if wish.fault in (RestFault.TIMEOUT_BEFORE, RestFault.TIMEOUT_AFTER):
        rule.hold_ms = most or rule.hold_ms
    else:
        rule.min_ms, rule.max_ms = least, most
    return rule


def _channel(wish: FaultWish, fault: StreamFault) -> Channel:
    """Return whose messages are meant: without event and channel private ones, of silence all."""
    if wish.channel is not None:
        return wish.channel
    if wish.uid is not None:
        return Channel.PRIVATE
    return Channel.ALL if wish.event is not None or fault is StreamFault.SILENT else Channel.PRIVATE
