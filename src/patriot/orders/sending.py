"""Orders on their way out: entries once their submission is durable, legs at once, cancels until they are done."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Protocol

import structlog

from patriot.kernel.clock import Clock
from patriot.kernel.errors import ExchangeError, ExchangeRefused, ExchangeUnavailable, OutcomeUnknown
from patriot.orders.asking import OrderInquiry
from patriot.orders.commands import RecordCanceled, RecordRejected, RecordSubmitted, RequestCancel
from patriot.orders.decider import OVER, UNSENT, WORKING
from patriot.orders.events import CancelReason, OrderCreated, RejectStage
from patriot.orders.known import KnownOrders
from patriot.orders.legs import is_conditional, leg_command, venue_order
from patriot.orders.patience import DeskPatience
from patriot.orders.ports import OrderVenue
from patriot.orders.reports import ReportTaker
from patriot.trading.steps import Reached, Step
from patriot.trading.terms import Leg, OrderId

log = structlog.get_logger()
_SENT_STEP = {Leg.ENTRY: Step.ORDER_SENT, Leg.STOP: Step.STOP_SENT, Leg.TARGET: Step.TARGET_SENT}


class AnswerListener(Protocol):
    """Who is told what the exchange answers (`orders/desk.py`)."""

    on_answered: Callable[[str], None]
    on_refused: Callable[[OrderCreated, ExchangeRefused], None]
    on_cancel_refused: Callable[[OrderCreated, ExchangeRefused], None]


class OrderSender:
    """Sends one account's orders."""

    def __init__(
        self,
        venue: OrderVenue,
        known: KnownOrders,
        taker: ReportTaker,
        inquiry: OrderInquiry,
        clock: Clock,
        patience: DeskPatience,
        reached: Reached,
        listener: AnswerListener,
    ) -> None:
        self.inherited: set[OrderId] = set()  # brackets that a predecessor may have sent requests for
        self._venue = venue
        self._known = known
        self._taker = taker
        self._inquiry = inquiry
        self._clock = clock
        self._patience = patience
        self._reached = reached
        self._listener = listener
        self._canceling: set[OrderId] = set()

    async def submit(self, created: OrderCreated) -> None:
        """Send an approved entry and return when the exchange has answered, or is known not to answer."""
        if created.order_id in self._known.sending or self._known[created.order_id].status not in UNSENT:
            return  # whoever resumed it a second time comes late
        self._known.sending.add(created.order_id)
        try:
            await self._submit(created)
        finally:
            self._known.sending.discard(created.order_id)

    async def _submit(self, created: OrderCreated) -> None:
        for pause in (*self._patience.retry, None):
            if not self._may_go_out(created):
                return
            attempt = self._known[created.order_id].attempt + 1
            command = RecordSubmitted(created.order_id, attempt, self._clock.now())
            if attempt > 1:
                log.warning("order.sent_again", order_id=str(created.order_id), leg=created.leg, attempt=attempt)
            await self._known.decide_durably(command)
            self._reached(Step.ORDER_SUBMITTED)
            if not self._may_go_out(created):
                return
            try:
                await self._send(created, command.at)
            except ExchangeUnavailable:
                if pause is not None:
                    await asyncio.sleep(pause)
            else:
                return
        self.reject_locally(created, "EXCHANGE_UNAVAILABLE")

    def _may_go_out(self, created: OrderCreated) -> bool:
        """End an entry that nobody wants any more, or that is too old; the exchange does not have it."""
        if self._known[created.order_id].cancel_reason is not None:
            self._known.decide(RecordCanceled(created.order_id, self._clock.now()))
        elif created.valid_until is not None and self._clock.now() > created.valid_until:
            self.reject_locally(created, "SIGNAL_EXPIRED")
        else:
            return True
        return False

    async def open_leg(self, entry: OrderCreated, leg: Leg, sequence: int, quantity: Decimal) -> float | None:
        """Send an order that reduces a position, at once; the log learns of it at the same time, not before.

        Return None if it went out; else after how many seconds the next one may, 0 where the exchange does not say.
        """
        command = leg_command(entry, leg, sequence, quantity, self._clock.now())
        self._known.decide(command)
        self._known.decide(RecordSubmitted(command.order_id, 1, command.at))
        created = self._known.created(command.order_id)
        self._known.sending.add(command.order_id)
        try:
            await self._send(created, command.at)
        except ExchangeUnavailable as closed:
            self.reject_locally(created, "EXCHANGE_UNAVAILABLE")
            return closed.retry_after_seconds or 0.0
        finally:
            self._known.sending.discard(command.order_id)
        return None

    async def _send(self, created: OrderCreated, sent_at: datetime) -> None:
        """Put one request on the wire. Errors: ExchangeUnavailable: nothing was done, the request may be repeated."""
        began = self._clock.monotonic()
        try:
            async with asyncio.timeout(self._patience.answer):
                report = await self._venue.place(venue_order(created), sent_at)
        except ExchangeRefused as refusal:
            await self._take_refusal(created, refusal)
        except (OutcomeUnknown, TimeoutError) as unknown:
            log.warning("order.outcome_unknown", order_id=str(created.order_id), leg=created.leg, error=str(unknown))
            # a leg goes out under its next id as soon as this one's fate is noted as unknown: ask once before
            if created.leg is Leg.ENTRY or not await self._inquiry.is_there(created):
                waited = self._clock.monotonic() - began
                self._inquiry.find_out(created, type(unknown).__name__, waited_seconds=waited)
        else:
            self._reached(_SENT_STEP.get(created.leg, Step.CLOSE_SENT))
            self._taker.on_order(report)
            self._listener.on_answered(created.client_order_id)
            if not self._inquiry.is_settled(created):  # only acknowledged
                self._inquiry.watch(created, waited_seconds=self._clock.monotonic() - began)
            self._reached(Step.STOP_ACCEPTED if created.leg is Leg.STOP else Step.ORDER_ACCEPTED)

    async def _take_refusal(self, created: OrderCreated, refusal: ExchangeRefused) -> None:
        """Take a refusal as final, unless a predecessor's order under the same id may be the reason."""
        if created.group_id in self.inherited and created.leg is not Leg.ENTRY:
            if await self._inquiry.is_there(created):
                return
            if is_conditional(created) and not refusal.nothing_to_reduce:  # it may rest, and the query lag
                self._inquiry.find_out(created, "RefusedUnproven")
                return
        self._listener.on_refused(created, refusal)
        rejected = RecordRejected(
            created.order_id,
            RejectStage.EXCHANGE,
            "EXCHANGE_REFUSED",
            refusal.code,
            refusal.reason,
            self._clock.now(),
        )
        self._known.record(rejected)

    async def cancel(self, created: OrderCreated, reason: CancelReason) -> None:
        """Cancel a resting order. The exchange's report, not the request, makes it canceled."""
        self._known.decide(RequestCancel(created.order_id, reason, self._clock.now()))
        if created.order_id in self._canceling:
            return
        self._canceling.add(created.order_id)
        try:
            await self._cancel_patiently(created)
        finally:
            self._canceling.discard(created.order_id)

    async def _cancel_patiently(self, created: OrderCreated) -> None:
        pauses, refusals = iter(self._patience.retry), 0
        while self._known[created.order_id].status not in OVER:
            try:
                await self._venue.cancel(created.symbol, created.client_order_id, conditional=is_conditional(created))
            except ExchangeRefused as refusal:  # it is not resting, or not yet known: the question learns which
                self._listener.on_refused(created, refusal)
                await self._inquiry.find_again(created)
                refusals += 1
                if refusals > 1 and self._known[created.order_id].status in WORKING:  # the first: it lags behind
                    self._listener.on_cancel_refused(created, refusal)
            except ExchangeError:
                await asyncio.sleep(next(pauses, self._patience.retry[-1]))
                continue
            else:
                self._reached(Step.CANCEL_SENT)
                if await self._inquiry.until_answered(partial(self._inquiry.find, created)) is None:
                    self._known.record(RecordCanceled(created.order_id, self._clock.now()))  # it said so itself
            if self._known[created.order_id].status in UNSENT:
                return  # it is not sent any more
            if self._known[created.order_id].status not in OVER:
                await asyncio.sleep(next(pauses, self._patience.retry[-1]))

    def reject_locally(self, created: OrderCreated, reason: str) -> None:
        """Give up an order that the exchange does not have."""
        self._known.decide(RecordRejected(created.order_id, RejectStage.LOCAL, reason, None, None, self._clock.now()))
