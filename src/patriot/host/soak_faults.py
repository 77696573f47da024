"""What a soak does to the exchange: plain faults, drawn by seed, each bounded by hits and by seconds.

Every third round puts two of them in force at once: that happens in the field, and breaks what stands one alone.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

from patriot.sim.exchange import VenueName
from patriot.sim.faults.requests import ERROR_STATUSES
from patriot.sim.faults.rules import RestFault, StreamFault
from patriot.sim.faults.wishes import Action, FaultWish, RequestMatch

LONGEST_SECONDS = 8.0  # of real time, for a fault that nothing meets
LEAST_PAUSE_SECONDS, MOST_PAUSE_SECONDS = 0.5, 2.0
PAIR_EVERY = 3
# Orders first: what is sent, asked and canceled about them is where a fault costs money. The rest is whatever comes.
MATCHES = (
    *(RequestMatch("POST", "/fapi/v1/order"), RequestMatch("POST", "/fapi/v1/algoOrder")) * 3,
    *(RequestMatch("DELETE", "/fapi/v1/*"), RequestMatch("GET", "/fapi/v1/*"), RequestMatch(None, "/fapi/*")),
)

Draw = Callable[[Random, int | None], FaultWish]


def _request(fault: RestFault, *, html: bool = False) -> Draw:
    """Return what draws an answer that fails, or a line that breaks, for one or two requests."""

    def draw(chance: Random, uid: int | None) -> FaultWish:
        fails = fault in (RestFault.ERROR_BEFORE, RestFault.ERROR_AFTER)
        held = fault in (RestFault.TIMEOUT_BEFORE, RestFault.TIMEOUT_AFTER)
        late = fault is RestFault.DELAY
        return FaultWish(
            fault=fault,
            venue=VenueName.BINANCE,
            match=chance.choice(MATCHES),
            uid=uid,
            times=chance.randint(1, 2),
            seconds=LONGEST_SECONDS,
            status=chance.choice(ERROR_STATUSES) if fails else 503,
            html=html,
            delay_ms=chance.randint(500, 3_000) if held else 0,
            min_ms=50 if late else None,
            max_ms=chance.randint(200, 1_500) if late else None,
        )

    return draw


def _span(fault: RestFault, retry_after_seconds: int = 60) -> Draw:
    """Return what draws a time in which the venue takes nothing."""

    def draw(chance: Random, _uid: int | None) -> FaultWish:
        seconds = chance.uniform(0.5, 2.0)
        return FaultWish(fault=fault, venue=VenueName.BINANCE, seconds=seconds, retry_after_seconds=retry_after_seconds)

    return draw


def _message(fault: StreamFault) -> Draw:
    """Return what draws private messages that are lost, repeated, late, out of order, or end their socket."""

    def draw(chance: Random, uid: int | None) -> FaultWish:
        late = fault is StreamFault.DELAY
        return FaultWish(
            stream=fault,
            venue=VenueName.BINANCE,
            uid=uid,
            event=chance.choice(("ORDER_TRADE_UPDATE", "ORDER_TRADE_UPDATE", "ACCOUNT_UPDATE", "ALGO_UPDATE")),
            times=chance.randint(1, 4),
            seconds=LONGEST_SECONDS,
            min_ms=100 if late else None,
            max_ms=chance.randint(300, 3_000) if late else None,
        )

    return draw


def _disconnect(*, abrupt: bool) -> Draw:
    def draw(_chance: Random, uid: int | None) -> FaultWish:
        return FaultWish(action=Action.DISCONNECT, venue=VenueName.BINANCE, uid=uid, abrupt=abrupt)

    return draw


def _listen_key(*, announced: bool) -> Draw:
    def draw(_chance: Random, uid: int | None) -> FaultWish:
        return FaultWish(action=Action.EXPIRE_LISTEN_KEY, venue=VenueName.BINANCE, uid=uid, announced=announced)

    return draw


def _partial_fills(chance: Random, _uid: int | None) -> FaultWish:
    return FaultWish(
        action=Action.PARTIAL_FILLS, venue=VenueName.BINANCE, parts=chance.randint(2, 6), seconds=LONGEST_SECONDS
    )


KINDS: dict[str, Draw] = {
    "error before, JSON": _request(RestFault.ERROR_BEFORE),
    "error after, JSON": _request(RestFault.ERROR_AFTER),
    "error before, HTML": _request(RestFault.ERROR_BEFORE, html=True),
    "error after, HTML": _request(RestFault.ERROR_AFTER, html=True),
    "cut before": _request(RestFault.DROP_BEFORE),
    "cut after": _request(RestFault.DROP_AFTER),
    "held before": _request(RestFault.TIMEOUT_BEFORE),
    "held after": _request(RestFault.TIMEOUT_AFTER),
    "late answers": _request(RestFault.DELAY),
    "429": _span(RestFault.RATE_LIMIT, retry_after_seconds=1),
    "overload": _span(RestFault.OVERLOAD),
    "messages dropped": _message(StreamFault.DROP),
    "messages repeated": _message(StreamFault.DUPLICATE),
    "messages late": _message(StreamFault.DELAY),
    "messages reordered": _message(StreamFault.REORDER),
    "socket ended by a message": _message(StreamFault.DISCONNECT),
    "disconnect": _disconnect(abrupt=False),
    "disconnect, abrupt": _disconnect(abrupt=True),
    "listen key ended": _listen_key(announced=True),
    "listen key ended unannounced": _listen_key(announced=False),
    "partial fills": _partial_fills,
}


@dataclass(frozen=True, slots=True)
class Round:
    """Faults that come into force together, and how long to wait before them."""

    pause_seconds: float
    faults: tuple[tuple[str, FaultWish], ...]


def rounds(seed: int, uids: Sequence[int]) -> Iterator[Round]:
    """Yield rounds without end, the same for one seed: every kind once in each pass, in drawn order."""
    chance = Random(seed)
    names: list[str] = []
    number = 0
    while True:
        number += 1
        taken = []
        for _ in range(2 if number % PAIR_EVERY == 0 else 1):
            if not names:
                names = chance.sample(list(KINDS), len(KINDS))
            name = names.pop()
            uid = chance.choice(uids) if chance.random() < 0.5 else None
            taken.append((name, KINDS[name](chance, uid)))
        yield Round(chance.uniform(LEAST_PAUSE_SECONDS, MOST_PAUSE_SECONDS), tuple(taken))
