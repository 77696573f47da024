"""One engine, the lines to it, and what goes wrong on them. Time passes on the event loop; nothing else is waited for.

A request goes on without whoever sent it: a client that dies does not take back what is on the wire.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import TypeVar

from patriot.adapters.exchanges.inprocess.faults import RECEIVE_WINDOW, FaultPlan, RequestFault, StreamFault
from patriot.adapters.exchanges.inprocess.reports import private_reports
from patriot.kernel.clock import Clock, to_epoch_ms
from patriot.kernel.errors import ExchangeRefused, ExchangeUnavailable, OutcomeUnknown
from patriot.kernel.tasks import Background
from patriot.sim.engine.events import Outcome, Result
from patriot.sim.engine.operations import Operation
from patriot.sim.engine.venue import Venue
from patriot.trading.reports import PrivateReport, StreamResumed

T = TypeVar("T")
INJECTED_REFUSAL = -1  # the code of a refusal that no rule of the venue gave


class InProcessExchange:
    """An engine that any number of accounts reach over faulty lines; `applied` sees every operation it executed."""

    def __init__(
        self,
        engine: Venue,
        clock: Clock,
        faults: FaultPlan,
        applied: Callable[[Operation, Outcome], None] = lambda _operation, _outcome: None,
    ) -> None:
        self.engine = engine
        self.clock = clock
        self.faults = faults
        self.requests = Background()
        self._applied = applied
        self._streams: dict[int, list[PrivateStream]] = {}

    def apply(self, operation: Operation) -> Outcome:
        """Execute one operation now, and let the private streams tell of it."""
        outcome = self.engine.apply(operation, to_epoch_ms(self.clock.now()))
        self._applied(operation, outcome)
        for event in outcome.emitted:
            uid = getattr(event, "uid", None)
            for report in private_reports(event):
                for stream in self._streams.get(uid, ()) if uid is not None else ():
                    stream.send(report)
        return outcome

    def execute(self, operation: Operation) -> Result:
        """Execute one operation and return its result. Errors: ExchangeRefused."""
        outcome = self.apply(operation)
        if outcome.refusal is not None:
            raise ExchangeRefused(outcome.refusal.code, outcome.refusal.message)
        assert outcome.result is not None  # noqa: S101  what is not refused has a result
        return outcome.result

    async def request(self, work: Callable[[], T], *, sent_at: datetime | None = None, placing: bool = False) -> T:
        """Carry a request to the venue and its answer back.

        Errors: ExchangeRefused, ExchangeUnavailable, OutcomeUnknown; each as the fault plan or the engine has it.
        """
        fault = self.faults.of_request(placing=placing)
        sent_at = sent_at or self.clock.now()
        answer = self.requests.start(self._travel(work, sent_at, fault))
        try:
            return await asyncio.wait_for(asyncio.shield(answer), self.faults.latency.no_answer)
        except TimeoutError as error:
            raise OutcomeUnknown("no answer in time") from error

    async def _travel(self, work: Callable[[], T], sent_at: datetime, fault: RequestFault) -> T:
        await asyncio.sleep(self.faults.delay(slow=fault is RequestFault.SLOW))
        try:
            match fault:
                case RequestFault.LOST_REQUEST:
                    raise await self._silence()
                case RequestFault.UNAVAILABLE:
                    raise ExchangeUnavailable("the exchange did nothing")
                case RequestFault.REFUSED:
                    raise ExchangeRefused(INJECTED_REFUSAL, "refused by the fault plan")
            if self.clock.now() - sent_at > RECEIVE_WINDOW:
                raise ExchangeUnavailable("-1021: the request is outside of its receive window")
            result = work()
            if fault is RequestFault.LOST_ANSWER:
                raise await self._silence()
        finally:
            await asyncio.sleep(self.faults.delay(slow=fault is RequestFault.SLOW))
        return result

    async def _silence(self) -> OutcomeUnknown:
        await asyncio.sleep(self.faults.latency.no_answer)
        return OutcomeUnknown("no answer came")

    def open_stream(self, uid: int) -> "PrivateStream":
        """Return a new private stream of an account; it stands after a moment."""
        stream = PrivateStream(self, uid)
        self._streams.setdefault(uid, []).append(stream)
        return stream

    def close_stream(self, stream: "PrivateStream") -> None:
        """Let a stream go."""
        self._streams[stream.uid].remove(stream)


class PrivateStream:
    """One account's reports on their way to one client, in the venue's order but for what goes wrong."""

    def __init__(self, exchange: InProcessExchange, uid: int) -> None:
        self.uid = uid
        self._exchange = exchange
        self._waiting: deque[tuple[float, PrivateReport]] = deque()  # arrival by the clock's monotonic time
        self._arrived = asyncio.Event()
        self._stands_at = 0.0
        self._reconnect()

    def _reconnect(self) -> None:
        """Lose what is on the line; what the venue says before the line stands again is lost too."""
        clock = self._exchange.clock
        self._waiting.clear()
        self._stands_at = clock.monotonic() + self._exchange.faults.reconnect()
        self._waiting.append((self._stands_at, StreamResumed(clock.now())))
        self._arrived.set()

    def send(self, report: PrivateReport) -> None:
        """Put a report on the line."""
        clock, faults = self._exchange.clock, self._exchange.faults
        if clock.monotonic() < self._stands_at:
            return
        fault = faults.of_report()
        if fault is StreamFault.GAP:
            self._reconnect()
            return
        last = self._waiting[-1] if self._waiting else None
        arrival = clock.monotonic() + faults.delay()
        if last is not None:
            arrival = max(arrival, last[0])
        if fault is StreamFault.SWAPPED and last is not None and type(last[1]) not in (type(report), StreamResumed):
            self._waiting[-1] = (last[0], report)
            report = last[1]
        self._waiting.append((arrival, report))
        if fault is StreamFault.REPEATED:
            self._waiting.append((arrival + faults.delay(), report))
        self._arrived.set()

    async def reports(self) -> AsyncIterator[PrivateReport]:
        """Yield reports for ever; StreamResumed comes first and after each gap."""
        while True:
            while not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
            wait = self._waiting[0][0] - self._exchange.clock.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            elif self._waiting:
                yield self._waiting.popleft()[1]
