"""Parts that break a law on purpose, so that the judge can be seen to find it."""

from __future__ import annotations

import asyncio
from datetime import datetime
from decimal import Decimal
from typing import Any

from patriot.execution.effects import BracketKeeper
from patriot.kernel.errors import OutcomeUnknown
from patriot.orders.asking import OrderInquiry
from patriot.orders.commands import RecordRejected
from patriot.orders.desk import OrderDesk
from patriot.orders.events import OrderCreated, RejectStage
from patriot.orders.legs import venue_order
from patriot.orders.sending import OrderSender
from patriot.trading.reports import TradeReport
from patriot.trading.terms import Leg


class LateDesk(OrderDesk):
    """Sends every stop 3 s late."""

    async def open_leg(self, entry: OrderCreated, leg: Leg, sequence: int, quantity: Decimal) -> None:
        if leg is Leg.STOP:
            await asyncio.sleep(3)
        await super().open_leg(entry, leg, sequence, quantity)


class CarelessKeeper(BracketKeeper):
    """Forgets to protect."""

    def resume(self) -> None:
        self._paused = True


class _BlindSender(OrderSender):
    async def _send(self, created: OrderCreated, sent_at: datetime) -> bool:
        for _ in range(3):
            try:
                self._taker.on_order(await self._venue.place(venue_order(created), self._clock.now()))
            except OutcomeUnknown:
                continue
            return True
        return False


class BlindDesk(OrderDesk):
    """Takes a lost answer for a refusal to answer, and sends the same order again."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.sender.__class__ = _BlindSender


class _DoublingSender(OrderSender):
    async def _send(self, created: OrderCreated, sent_at: datetime) -> bool:
        if created.leg is Leg.ENTRY:
            twin = venue_order(created)
            object.__setattr__(twin, "client_order_id", created.client_order_id[:-1] + "2")
            self._inquiry._tasks.start(self._venue.place(twin, sent_at))
        return await super()._send(created, sent_at)


class DoublingDesk(OrderDesk):
    """Sends every entry twice, each time under an id of its own: nothing on the exchange would notice."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.sender.__class__ = _DoublingSender


class _HastyInquiry(OrderInquiry):
    def find_out(self, created: OrderCreated, reason: str, delays: tuple[float, ...] | None = None) -> None:
        at = self._clock.now()
        self._known.decide(RecordRejected(created.order_id, RejectStage.EXCHANGE, reason, None, None, at))


class HastyDesk(OrderDesk):
    """Calls an order rejected as soon as no answer comes."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.inquiry.__class__ = _HastyInquiry


class ForgetfulDesk(OrderDesk):
    """Loses every third execution."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        take = self.taker.on_trade

        def forgetful(trade: TradeReport) -> None:
            if int(trade.trade_id) % 3:
                take(trade)

        self.taker.on_trade = forgetful  # type: ignore[method-assign]


class GreedyDesk(OrderDesk):
    """Cancels what it finds resting, whoever it belongs to."""

    async def recover(self, *, takeover: bool) -> None:
        await super().recover(takeover=takeover)
        venue = self.inquiry._venue
        for report in await venue.open_orders():
            await venue.cancel(report.symbol, report.client_order_id, conditional=report.conditional)
