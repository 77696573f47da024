"""One account's private stream: a listen key kept alive, a socket opened again for ever, every message as reports."""

from collections.abc import AsyncGenerator, AsyncIterator
from urllib.parse import quote

from patriot.adapters.exchanges.binance.account_wire import read_listen_key
from patriot.adapters.exchanges.binance.session import BinanceSession, Request, ignore_answer
from patriot.adapters.exchanges.binance.sockets import SILENCE_SECONDS, Backoff, Socket, open_socket
from patriot.adapters.exchanges.binance.stream_wire import ListenKeyExpired, PrivateReader
from patriot.kernel.errors import ExchangeError, ExchangeRefused, ExchangeUnavailable
from patriot.trading.reports import PrivateReport, StreamResumed
from patriot.trading.terms import Urgency

KEEPALIVE_SECONDS = 30 * 60.0  # a listen key lives 60 minutes
KEEPALIVE_RETRY_SECONDS = 60.0
LISTEN_KEY_PATH = "/fapi/v1/listenKey"


class PrivateStream:
    """Reports of one account for ever. `gaps` counts the times the line was lost, `last_problem` says why."""

    def __init__(
        self,
        session: BinanceSession,
        reader: PrivateReader,
        backoff: Backoff,
        silence_seconds: float = SILENCE_SECONDS,
    ) -> None:
        self.gaps = 0
        self.last_problem = ""
        self._session = session
        self._reader = reader
        self._backoff = backoff
        self._silence_seconds = silence_seconds

    async def reports(self) -> AsyncGenerator[PrivateReport, None]:
        """Yield reports; StreamResumed is the first, and the first after everything that may have been missed."""
        while True:
            wait_at_least: float | None = None
            try:
                listen_key = await self._open_key()
                address = f"{self._session.ws_url}/private/ws?listenKey={quote(listen_key, safe='')}"
                async with open_socket(self._session.http, address, self._silence_seconds) as socket:
                    yield self._resumed()
                    async for report in self._read(socket):
                        yield report
                self.last_problem = "the line was lost"
            except ListenKeyExpired as problem:
                self.last_problem = str(problem)
            except ExchangeError as problem:
                self.last_problem = str(problem)
                wait_at_least = problem.retry_after_seconds if isinstance(problem, ExchangeUnavailable) else None
            self.gaps += 1
            await self._backoff.after_failure(wait_at_least)

    async def _read(self, socket: Socket) -> AsyncIterator[PrivateReport]:
        due = self._session.clock.monotonic() + KEEPALIVE_SECONDS
        while True:
            if self._session.clock.monotonic() >= due:
                due = self._session.clock.monotonic() + await self._keep_alive()
            message = await socket.next_message()
            if message is None:
                return
            if not message:
                continue
            self._backoff.succeeded()
            reports = self._reader.read(message)
            if reports is None:  # unreadable: treat it as a gap, the consumer asks the exchange what it missed
                yield self._resumed()
            for report in reports or ():
                yield report

    def _resumed(self) -> StreamResumed:
        return StreamResumed(self._session.time.now())

    async def _open_key(self) -> str:
        return await self._session.call(_listen_key("POST"), read_listen_key)

    async def _keep_alive(self) -> float:
        """Extend the listen key; return the seconds until the next time. Errors: ListenKeyExpired."""
        try:
            await self._session.call(_listen_key("PUT"), ignore_answer)
        except ExchangeRefused as refusal:
            raise ListenKeyExpired(str(refusal)) from refusal
        except ExchangeError:
            return KEEPALIVE_RETRY_SECONDS
        return KEEPALIVE_SECONDS


def _listen_key(method: str) -> Request:
    return Request(method, LISTEN_KEY_PATH, {}, signed=False, urgency=Urgency.POSITION)
