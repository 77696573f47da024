"""What may be sent: request weight of one egress address, shared by every account behind it, and orders per account.

Requests wait in one queue for the weight of the address: the more urgent first, and the accounts of one class in turn.
A part of each minute is kept for the way out. Source: USD-M Futures "General Info" and exchangeInfo rateLimits, read
2026-11-22.
"""

import asyncio
import heapq
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count

from patriot.kernel.clock import Clock
from patriot.kernel.errors import ExchangeUnavailable
from patriot.trading.terms import Urgency

WEIGHT_PER_MINUTE = 2_400
WINDOW_SECONDS = 60.0
BAN_SECONDS = 120.0  # the venue's shortest ban, for a 418 without Retry-After
URGENT_WAIT_SECONDS = 1.0  # after a 429 without Retry-After; the rest wait for the next minute
TIMER_SECONDS = 0.005  # an event loop that counts in milliseconds wakes one too early whoever slept until then
CEILINGS = {  # fraction of a minute's weight
    Urgency.PROTECTION: 1.0,
    Urgency.POSITION: 0.75,
    Urgency.NORMAL: 0.65,  # what is read of positions does not wait behind what can wait
    Urgency.BACKGROUND: 0.5,
}
BACKGROUND_FRACTION = 0.4  # of a minute's weight, spread over the minute
UNPACED_FRACTION = 0.25  # of a minute's weight: while less is used, history does not wait

ORDER_CEILINGS = {"10s": (10.0, 300), "1m": (60.0, 1_200)}  # header suffix: seconds, orders of one account
ENTRY_FRACTION = 0.75  # the rest of an account's orders is for the way out


@dataclass(order=True, slots=True)
class _Waiting:
    urgency: Urgency
    turn_tag: float
    number: int
    weight: int = field(compare=False)
    turn: "asyncio.Future[None]" = field(compare=False)


class RateBudget:
    """Let requests through by urgency, follow what the venue says was used, and stop the address when it is banned.

    `weight_per_minute=None` counts without holding back: for a replay, whose minutes are not the venue's.
    """

    def __init__(self, clock: Clock, weight_per_minute: int | None = WEIGHT_PER_MINUTE) -> None:
        self._clock = clock
        self._limit = weight_per_minute
        self._opened_at = -math.inf  # when the running minute began
        self._used = 0
        self._reported = (0, -math.inf)  # the venue's count, and when it came
        self._banned_until = -math.inf
        self._closed_until = dict.fromkeys(Urgency, -math.inf)
        self._background_at = -math.inf
        self._waiting: list[_Waiting] = []
        self._numbers = count()
        self._served_tag = 0.0
        self._tags: dict[object, float] = {}  # by account: the later, the more it has had of the queue
        self._timer: asyncio.TimerHandle | None = None
        self._scout_sent = self._scout_back = False  # what a life before this one has used, the first answer tells

    @property
    def used(self) -> int:
        """Return the weight used in the running minute."""
        self._roll()
        return self._used

    @property
    def waiting(self) -> int:
        """Return how many requests wait for weight."""
        return sum(not one.turn.done() for one in self._waiting)

    async def admit(self, weight: int, urgency: Urgency, account: object = None) -> None:
        """Return when a request of this weight may be sent; one without weight (an order) waits a moment at most.

        Errors: ExchangeUnavailable, with the seconds to wait, while the address is banned, or closed to orders.
        """
        opens_in = self._closed_until[urgency] - self._clock.monotonic()
        if weight == 0 and 0 < opens_in <= TIMER_SECONDS:
            await asyncio.sleep(opens_in + TIMER_SECONDS)
        self._refuse_while_closed(weight, urgency)
        if self._limit is None or weight == 0:
            self._roll()
            self._used += weight
            return
        tag = max(self._served_tag, self._tags.get(account, 0.0)) + weight
        self._tags[account] = tag
        turn = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, _Waiting(urgency, tag, next(self._numbers), weight, turn))
        self._serve()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled() and turn.exception() is None:
                self._used -= weight  # its turn had come, and it was not sent
                self.answered()
            raise

    def answered(self) -> None:
        """Let all others through after the first request came back, with the venue's count or without."""
        if not self._scout_back:
            self._scout_back = True
            self._serve()

    def reported(self, used: int, *, asked_at: float) -> None:
        """Take over the venue's count of its minute, from the answer to a request sent at a monotonic time.

        A count that fell since the last one was heard says that the venue began a new minute.
        """
        self._roll()
        before, heard_at = self._reported
        if used < before and asked_at >= heard_at:
            self._opened_at, self._used = self._clock.monotonic(), used
        self._used = max(self._used, used)
        if used >= before or asked_at >= heard_at:
            self._reported = (used, self._clock.monotonic())

    def throttled(self, seconds: float | None) -> None:
        """Hold back after a 429: as long as the venue says; if it says nothing, the urgent come back soon."""
        now = self._clock.monotonic()
        self._roll()
        rest = seconds if seconds is not None else max(URGENT_WAIT_SECONDS, self._opened_at + WINDOW_SECONDS - now)
        for urgency in Urgency:
            urgent = urgency is Urgency.PROTECTION and seconds is None
            until = now + (URGENT_WAIT_SECONDS if urgent else rest)
            self._closed_until[urgency] = max(self._closed_until[urgency], until)
        self._background_at = max(self._background_at, now + rest + WINDOW_SECONDS)

    def banned(self, seconds: float | None) -> None:
        """Send nothing from this address for a while; every account behind it is meant."""
        until = self._clock.monotonic() + (BAN_SECONDS if seconds is None else seconds)
        self._banned_until = max(self._banned_until, until)
        for one in self._waiting:
            if not one.turn.done():
                one.turn.set_exception(self._closed(self._banned_until))
        self._waiting.clear()

    def _refuse_while_closed(self, weight: int, urgency: Urgency) -> None:
        now = self._clock.monotonic()
        if self._banned_until > now:
            raise self._closed(self._banned_until)
        if weight == 0 and self._closed_until[urgency] > now:
            raise self._closed(self._closed_until[urgency])

    def _closed(self, until: float) -> ExchangeUnavailable:
        return ExchangeUnavailable("the exchange closed this address for a while", until - self._clock.monotonic())

    def _serve(self) -> None:
        """Let through whoever may go now; nobody overtakes a more urgent one."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            first = self._waiting[0]
            if not first.turn.done():
                if self._scout_sent and not self._scout_back:
                    return
                wait = self._seconds_until_turn(first)
                if wait > 0:
                    self._timer = asyncio.get_running_loop().call_later(wait, self._serve)
                    return
                self._spend(first)
                first.turn.set_result(None)
            heapq.heappop(self._waiting)
        self._tags.clear()

    def _seconds_until_turn(self, one: _Waiting) -> float:
        now, limit = self._clock.monotonic(), self._limit or 0
        closed = self._closed_until[one.urgency] - now
        if closed > 0:
            return closed
        self._roll()
        if self._used and self._used + one.weight > int(limit * CEILINGS[one.urgency]):
            return self._opened_at + WINDOW_SECONDS - now
        return self._background_at - now if one.urgency is Urgency.BACKGROUND else 0.0

    def _spend(self, one: _Waiting) -> None:
        self._scout_sent = True
        self._used += one.weight
        self._served_tag = max(self._served_tag, one.turn_tag)
        limit = self._limit or 0
        if one.urgency is Urgency.BACKGROUND and self._used > limit * UNPACED_FRACTION:
            pause = one.weight * WINDOW_SECONDS / (limit * BACKGROUND_FRACTION)
            self._background_at = max(self._background_at, self._clock.monotonic()) + pause

    def _roll(self) -> None:
        now = self._clock.monotonic()
        if now < self._opened_at + WINDOW_SECONDS:
            return
        if math.isinf(self._opened_at):  # the venue's minutes are the clock's, until its counts say otherwise
            self._opened_at = now - self._clock.now().timestamp() % WINDOW_SECONDS
        else:
            self._opened_at += (now - self._opened_at) // WINDOW_SECONDS * WINDOW_SECONDS
        self._used, self._reported = 0, (0, now)


class OrderCount:
    """The orders of one account, as the venue counts them; entries leave a part for the way out."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._windows = dict.fromkeys(ORDER_CEILINGS, (-1, 0))  # number of the window, orders in it

    def take(self, *, way_out: bool) -> None:
        """Count an order before it is sent. Errors: ExchangeUnavailable for an entry above its part of the ceiling."""
        for name, (seconds, ceiling) in ORDER_CEILINGS.items():
            if not way_out and self._used(name) >= int(ceiling * ENTRY_FRACTION):
                left = seconds - self._clock.monotonic() % seconds
                raise ExchangeUnavailable(f"orders of this account: {self._used(name)} in {name}", left)
        for name in ORDER_CEILINGS:
            self._windows[name] = (self._number(name), self._used(name) + 1)

    def reported(self, headers: Mapping[str, str]) -> None:
        """Take over the venue's own counts where they are higher, from headers by lower-case name."""
        for name in ORDER_CEILINGS:
            text = headers.get(f"x-mbx-order-count-{name}", "")
            if text.isascii() and text.isdigit() and len(text) < 9:
                self._windows[name] = (self._number(name), max(self._used(name), int(text)))

    def _used(self, name: str) -> int:
        number, used = self._windows[name]
        return used if number == self._number(name) else 0

    def _number(self, name: str) -> int:
        return int(self._clock.monotonic() // ORDER_CEILINGS[name][0])
