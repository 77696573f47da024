"""The reconciliation part of the accounts service: books fills, and tells of money that no record explains."""

import asyncio
from dataclasses import replace
from functools import partial

from patriot.accounts.commands import RecordReconciliation, RecordTrade
from patriot.accounts.events import TradeOrigin
from patriot.accounts.policies import MoneyEvent, MoneyWatch, reconcile
from patriot.kernel.codec import EVENTS
from patriot.kernel.errors import ExchangeError
from patriot.kernel.eventstore import Context, Place
from patriot.kernel.ids import derived_id
from patriot.kernel.patience import patiently
from patriot.kernel.policy import Keep, PolicyRunner
from patriot.kernel.projection import Recorded
from patriot.orders.events import OrderFilled
from patriot.services.engine import Engine
from patriot.services.ports import Ports
from patriot.services.worth import WorthOnExchange

TAIL = "reconciliation"
BOOKED_SOON = (0.25,) * 20  # seconds between looks whether the fills of a moment ago are booked
PRICE_PAUSES = (1.0, 5.0, 30.0)
EVENT_TYPES = frozenset(EVENTS.name_of_class(cls) for cls in MoneyEvent.__args__)
FILL = EVENTS.name_of_class(OrderFilled)


class ReconciliationService(Engine):
    """One tail over fills, transfers, funding and samples. The halt that follows is the risk service's."""

    tail: PolicyRunner[list[RecordReconciliation]]

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._watch = MoneyWatch()
        keep = Keep(ports.snapshots, MoneyWatch, lambda: self._watch, self._take_up)
        self.tail = PolicyRunner(ports.feed, ports.checkpoints, TAIL, EVENT_TYPES, self._fold, self._react, keep)

    async def run(self) -> None:
        """Serve until cancelled."""
        await self.tail.run()

    def _take_up(self, watch: MoneyWatch) -> None:
        self._watch = watch

    def _fold(self, recorded: Recorded) -> list[RecordReconciliation]:
        return reconcile(self._watch, recorded.event)

    async def _react(self, recorded: Recorded, commands: list[RecordReconciliation]) -> None:
        cause, event = recorded.envelope, recorded.event
        if isinstance(event, OrderFilled):
            await self._book(event, Context(cause.context.correlation_id, cause.event_id))
        for command in commands:
            if command.unexplained:
                self._ports.alerts.critical(
                    "money.unexplained",
                    account_id=command.account_id,
                    unexplained=command.unexplained,
                    sampled_at=command.sampled_at,
                )
            context = Context(
                correlation_id=derived_id("reconciliation", cause.event_id),
                causation_id=cause.event_id,
                user_id=command.user_id,
                account_id=command.account_id,
            )
            await self._ports.bus.dispatch(command, context)

    async def _book(self, fill: OrderFilled, context: Context) -> None:
        """Book a fill in its account's books, where all executions on the account are, once these are open."""
        asset = self._watch.asset_of(fill.account_id)
        if not asset:
            return
        market = self._ports.venue(fill.exchange).market
        worth = partial(
            WorthOnExchange(market, self._ports.alerts),
            fill.commission, fill.commission_asset, asset, fill.filled_at,
        )  # fmt: skip
        commission_value = await patiently(worth, pauses=PRICE_PAUSES, errors=(ExchangeError,))
        booked = RecordTrade(
            account_id=fill.account_id,
            user_id=fill.user_id,
            symbol=fill.symbol,
            trade_id=fill.trade_id,
            origin=TradeOrigin.PATRIOT,
            side=fill.side,
            quantity=fill.quantity,
            price=fill.price,
            realized_pnl=fill.realized_pnl,
            commission=fill.commission,
            commission_asset=fill.commission_asset,
            commission_value=commission_value,
            at=fill.filled_at,
        )
        context = replace(context, user_id=fill.user_id, account_id=fill.account_id)
        await self._ports.bus.dispatch(booked, context)


async def fills_booked(ports: Ports) -> bool:
    """Tell whether every fill that the log holds now is in the books of its account, or soon will be."""
    newest = await ports.feed.newest()
    for pause in BOOKED_SOON:
        if await _no_fill_between(ports, await ports.checkpoints.load(TAIL), newest):
            return True
        await asyncio.sleep(pause)
    return False


async def _no_fill_between(ports: Ports, place: Place, newest: Place) -> bool:
    """Tell by the events themselves: the checkpoint does not move for those that the tail has no use for."""
    while not ports.feed.reached(place, newest):
        page = await ports.feed.read(place)
        fills = [envelope.place for envelope in page.events if envelope.event_type == FILL]
        if not page.events or any(ports.feed.reached(newest, fill) for fill in fills):
            return False  # without events: an open transaction holds readers back
        place = page.next
    return True
