"""One key's requests: signed, timed, weighed, each ending in an answer or in one of the three errors of an exchange."""

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from urllib.parse import urlencode

import aiohttp
import msgspec
import structlog
from yarl import URL

from patriot.adapters.exchanges.binance.answers import (
    BANNED,
    OK,
    TIMESTAMP_OUTSIDE_WINDOW,
    TOO_MANY_ORDERS,
    TOO_MANY_REQUESTS,
    HttpAnswer,
    code_of,
    error_of,
    failed,
)
from patriot.adapters.exchanges.binance.budget import OrderCount, RateBudget
from patriot.adapters.exchanges.binance.signing import Signer
from patriot.adapters.exchanges.binance.venue_time import NOTEWORTHY, VenueTime
from patriot.adapters.exchanges.binance.wire import UNREADABLE, read_server_time
from patriot.kernel.clock import Clock
from patriot.kernel.errors import ExchangeError, ExchangeUnavailable, PatriotError
from patriot.trading.terms import Urgency

log = structlog.get_logger()
T = TypeVar("T")
Parameters = dict[str, str | int]
RECV_WINDOW_MS = 5_000  # a request older than this is refused by the venue: so a late one cannot place an order
CALL_TIMEOUT_SECONDS = 5.0
CONNECT_TIMEOUT_SECONDS = 3.0  # until here nothing was sent
SERVER_TIME_PATH = "/fapi/v1/time"

_TIMEOUT = aiohttp.ClientTimeout(total=CALL_TIMEOUT_SECONDS, connect=CONNECT_TIMEOUT_SECONDS)
_NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)
_NO_ANSWER = (aiohttp.ClientError, TimeoutError, OSError)


@dataclass(frozen=True, slots=True)
class Request:
    """One call. `weight` is the venue's price, `urgency` decides who waits for it; an order counts beside it."""

    method: str
    path: str
    parameters: Mapping[str, str | int]
    weight: int = 1
    signed: bool = True
    urgency: Urgency = Urgency.NORMAL
    is_order: bool = False
    sent_at: datetime | None = None  # signed as the request's time; now, if not given

    @property
    def changes_something(self) -> bool:
        """Return whether a lost answer leaves the outcome unknown."""
        return self.method != "GET"


class BinanceSession:
    """Talk to the venue with one key, or with none.

    `wallet_url` serves `/sapi` (on the live venue another host than futures); by default the same as `base_url`.
    """

    def __init__(
        self,
        base_url: str,
        ws_url: str,
        http: aiohttp.ClientSession,
        signer: Signer | None,
        *,
        clock: Clock,
        budget: RateBudget,
        time: VenueTime | None = None,
        counters: Counter[str] | None = None,
        wallet_url: str | None = None,
    ) -> None:
        self.ws_url = ws_url.rstrip("/")
        self.http = http
        self.clock = clock
        self.time = time or VenueTime(clock)
        self.counters = counters if counters is not None else Counter()
        self._base_url = base_url.rstrip("/")
        self._wallet_url = (wallet_url or base_url).rstrip("/")
        self._signer = signer
        self._budget = budget
        self._orders = OrderCount(clock)

    async def call(self, request: Request, read: Callable[[bytes], T]) -> T:
        """Send one request and return what `read` makes of the answer.

        Errors: ExchangeRefused, ExchangeUnavailable, OutcomeUnknown (never for a GET).
        """
        if request.signed and not request.changes_something and self.time.is_due():
            await self._try_to_sync()
        answer = await self._answer(request)
        if not request.changes_something and code_of(answer.body) == TIMESTAMP_OUTSIDE_WINDOW and answer.status != OK:
            answer = await self._answer(request)  # our idea of the time is mended now
        error = error_of(answer, changes_something=request.changes_something)
        if error is not None:
            raise error
        try:
            return read(answer.body)
        except UNREADABLE as problem:
            message = f"{request.path}: the answer cannot be read ({type(problem).__name__})"
            raise failed(message, changes_something=request.changes_something) from None

    async def sync_time(self) -> datetime:
        """Ask the venue's time, correct our idea of it, and return it."""
        asked_at = self.clock.monotonic()
        venue_time = await self.call(
            Request("GET", SERVER_TIME_PATH, {}, signed=False, urgency=Urgency.PROTECTION), read_server_time
        )
        wrong_by = self.time.measured(venue_time, asked_at=asked_at)
        if abs(wrong_by) > NOTEWORTHY:
            self.note("exchange.clock_corrected", seconds=wrong_by.total_seconds())
        return venue_time

    async def _try_to_sync(self) -> None:
        with suppress(PatriotError):  # the next request, or the next refusal, tries again
            await self.sync_time()

    async def _answer(self, request: Request) -> HttpAnswer:
        await self._budget.admit(request.weight, request.urgency, self)
        try:
            if request.is_order:
                self._orders.take(way_out=request.urgency is Urgency.PROTECTION)
            answer = await self._send(request)
        finally:
            self._budget.answered()
        if answer.status != OK:
            await self._learn(answer)
        return answer

    async def _learn(self, answer: HttpAnswer) -> None:
        code, wait = code_of(answer.body), answer.retry_after_seconds
        if answer.status == BANNED:
            self.note("exchange.banned", retry_after_seconds=wait)
            self._budget.banned(wait)
        elif answer.status == TOO_MANY_REQUESTS and code == TOO_MANY_ORDERS:
            self.note("exchange.too_many_orders", retry_after_seconds=wait)
        elif answer.status == TOO_MANY_REQUESTS:
            self.note("exchange.throttled", retry_after_seconds=wait)
            self._budget.throttled(wait)
        elif code == TIMESTAMP_OUTSIDE_WINDOW:
            await self._try_to_sync()

    def note(self, event: str, **fields: object) -> None:
        """Count something that a person may want to know of, and write it into the log."""
        self.counters[event] += 1
        log.warning(event, **fields)

    async def _send(self, request: Request) -> HttpAnswer:
        """Return whatever came back. No error carries the request: its headers and query are secrets."""
        problem: ExchangeError
        url, body, headers = self._prepare(request)
        asked_at = self.clock.monotonic()
        try:
            async with self.http.request(
                request.method, url, data=body, headers=headers, timeout=_TIMEOUT, allow_redirects=False
            ) as response:
                content = await response.read()
                if response.status != OK and self._signer is not None:
                    content = self._signer.hide(content)
                answer = HttpAnswer(response.status, content, {k.lower(): v for k, v in response.headers.items()})
        except _NEVER_SENT as error:
            problem = ExchangeUnavailable(f"{request.path}: no connection ({type(error).__name__})")
        except _NO_ANSWER as error:
            message = f"{request.path}: no answer ({type(error).__name__})"
            problem = failed(message, changes_something=request.changes_something)
        else:
            if answer.used_weight is not None:
                self._budget.reported(answer.used_weight, asked_at=asked_at)
            self._orders.reported(answer.headers)
            return answer
        raise problem

    def _prepare(self, request: Request) -> tuple[URL, bytes | None, dict[str, str]]:
        base = self._wallet_url if request.path.startswith("/sapi/") else self._base_url
        parameters = dict(request.parameters)
        headers: dict[str, str] = {}
        if self._signer is not None:
            headers |= self._signer.headers
        if request.signed:
            moment = request.sent_at or self.clock.now()
            parameters |= {"recvWindow": RECV_WINDOW_MS, "timestamp": self.time.stamp(moment)}
        text = urlencode(parameters)
        if request.signed:
            if self._signer is None:
                raise ExchangeUnavailable(f"{request.path}: this session has no key")
            text += f"&signature={self._signer.sign(text)}"
        if request.method == "POST" and text:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            return URL(base + request.path), text.encode(), headers
        return URL(f"{base}{request.path}?{text}" if text else base + request.path, encoded=True), None, headers


def ignore_answer(body: bytes) -> None:
    """Read an answer of which only success matters."""
    msgspec.json.decode(body)
