"""One account's private stream: a listen key kept alive, a socket opened again for ever, every message as reports.

The venue may end a listen key without a word while its socket lives on in silence: a silent stream is asked for, and
whoever knows that something was not told has the stream opened again.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from urllib.parse import quote

from patriot.adapters.exchanges.binance.account_wire import read_kept_listen_key, read_listen_key
from patriot.adapters.exchanges.binance.session import BinanceSession, Request, ignore_answer
from patriot.adapters.exchanges.binance.sockets import SILENCE_SECONDS, Backoff, Socket, open_socket
from patriot.adapters.exchanges.binance.stream_wire import ListenKeyExpired, PrivateReader
from patriot.kernel.errors import ExchangeError, ExchangeRefused, ExchangeUnavailable
from patriot.trading.reports import PrivateReport, StreamLost, StreamResumed
from patriot.trading.terms import Urgency

KEEPALIVE_SECONDS = 30 * 60.0  # a listen key lives 60 minutes
SILENT_KEY_SECONDS = 60.0  # after so long without a message the venue is asked whether the key still lives
KEEPALIVE_RETRY_SECONDS = 10.0
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
        self._heard_at: float | None = None  # monotonic
        self._socket: Socket | None = None
        self._key_is_dead = False
        self._given_up_for = ""

    @property
    def silent_seconds(self) -> float:
        """Return for how long the stream has brought nothing, open or not; 0 before it was first asked for."""
        return 0.0 if self._heard_at is None else self._session.clock.monotonic() - self._heard_at

    def reopen(self, reason: str) -> None:
        """Open the stream again with a new listen key; StreamResumed follows. While it is closed nothing changes."""
        if self._socket is not None:
            self._key_is_dead = True
            self._give_up(self._socket, reason)

    async def reports(self) -> AsyncGenerator[PrivateReport, None]:
        """Yield reports; StreamResumed is the first, and the first after everything that may have been missed.

        StreamLost tells of each time that the stream could not be opened.
        """
        self._hear()
        while True:
            wait_at_least: float | None = None
            opened = key_refused = False
            try:
                listen_key = await self._open_key()
                address = f"{self._session.ws_url}/private/ws?listenKey={quote(listen_key, safe='')}"
                async with open_socket(self._session.http, address, self._silence_seconds) as socket:
                    opened, self._given_up_for = True, ""
                    async for report in self._told_by(socket, listen_key):
                        yield report
                self.last_problem = self._given_up_for or "the line was lost"
            except ListenKeyExpired as problem:
                self.last_problem = str(problem)
            except ExchangeError as problem:
                self.last_problem = str(problem)
                wait_at_least = problem.retry_after_seconds if isinstance(problem, ExchangeUnavailable) else None
                key_refused = isinstance(problem, ExchangeRefused) and problem.about_key
            self.gaps += 1
            self._session.note("exchange.stream_lost", problem=self.last_problem)
            if not opened:
                yield StreamLost(self._session.time.now(), key_refused)
            await self._backoff.after_failure(wait_at_least)

    async def _told_by(self, socket: Socket, listen_key: str) -> AsyncIterator[PrivateReport]:
        self._socket = socket
        keeping = asyncio.create_task(self._keep_key(socket, listen_key))
        try:
            yield self._resumed()
            async for report in self._read(socket):
                yield report
        finally:
            self._socket = None
            keeping.cancel()

    async def _read(self, socket: Socket) -> AsyncIterator[PrivateReport]:
        while (message := await socket.next_message()) is not None:
            if not message:
                continue
            self._hear()
            self._backoff.succeeded()
            reports = self._reader.read(message)
            if reports is None:  # unreadable: treat it as a gap, the consumer asks the exchange what it missed
                self._session.note("exchange.stream_unreadable")
                yield self._resumed()
            for report in reports or ():
                yield report

    def _hear(self) -> None:
        self._heard_at = self._session.clock.monotonic()

    def _give_up(self, socket: Socket, reason: str) -> None:
        self._given_up_for = reason
        socket.give_up()

    def _resumed(self) -> StreamResumed:
        self._hear()
        return StreamResumed(self._session.time.now())

    async def _open_key(self) -> str:
        if self._key_is_dead:  # opening would give the same one back, if the venue still has it
            try:
                await self._session.call(_listen_key("DELETE"), ignore_answer)
            except ExchangeRefused as refusal:
                if refusal.about_key:
                    raise
                self._session.note("exchange.listen_key_not_deleted", problem=str(refusal))  # gone already, as a rule
            self._key_is_dead = False
        return await self._session.call(_listen_key("POST"), read_listen_key)

    async def _keep_key(self, socket: Socket, listen_key: str) -> None:
        """Extend the listen key while its socket is open, and see that it is the account's key still."""
        monotonic = self._session.clock.monotonic
        extended_at, not_before = monotonic(), 0.0
        while True:
            silent_since = max(extended_at, self._heard_at or 0.0)
            due = max(not_before, min(extended_at + KEEPALIVE_SECONDS, silent_since + SILENT_KEY_SECONDS))
            if due > monotonic():
                await asyncio.sleep(due - monotonic())
                continue
            try:
                kept = await self._session.call(_listen_key("PUT"), read_kept_listen_key)
            except ExchangeRefused as refusal:
                return self._give_up(socket, f"the listen key is gone ({refusal.code})")
            except ExchangeError:
                not_before = monotonic() + KEEPALIVE_RETRY_SECONDS
                continue
            if kept not in (None, listen_key):
                return self._give_up(socket, "the account has another listen key")
            extended_at = monotonic()


def _listen_key(method: str) -> Request:
    urgency = Urgency.PROTECTION if method == "POST" else Urgency.POSITION  # nothing is looked after before it is open
    return Request(method, LISTEN_KEY_PATH, {}, signed=False, urgency=urgency)
