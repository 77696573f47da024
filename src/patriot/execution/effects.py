"""Keeps every position of one account protected, and closes it when asked: events in, legs out.

What must happen is decided by `execution/bracket.py`; here it is done, again and again until it is done.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from patriot.execution.ahead import StopsAhead
from patriot.execution.bracket import (
    Bracket,
    Cancel,
    Open,
    evolve,
    failures_ahead,
    next_steps,
    stop_failures,
    with_executed,
    with_presumed,
)
from patriot.execution.commands import CloseBracket, RecordProtected, RecordProtectionFailed
from patriot.execution.ports import Alerts, CommandWriter, Desk
from patriot.kernel.clock import Clock
from patriot.kernel.eventstore import SYSTEM
from patriot.kernel.money import ZERO, Money
from patriot.kernel.tasks import Background
from patriot.orders.events import OrderAccepted, OrderCreated, OrderEvent, OrderFilled, OrderRejected
from patriot.risk.commands import ReleaseExposure, RestoreExposure
from patriot.trading.steps import Reached, Step, pass_by
from patriot.trading.terms import Leg, OrderId, StrategyId

ENTRY_PATIENCE_SECONDS = 0.2  # a market entry's executions come together: one stop for all of them, if they do
REMEMBERED_BRACKETS = 20
WAY_OUT_PAUSE_SECONDS = (0.0, 0.1, 0.5, 1.0, 2.0)  # before the n-th try to leave a position at market


@dataclass(frozen=True, slots=True)
class _Naked:
    """Since when a position has been open without a stop, by both clocks."""

    filled_at: datetime
    monotonic: float


@dataclass(slots=True)
class _IdleTries:
    """How often a leg was tried and the exchange did nothing; whether the newest try was such a one."""

    count: int = 0
    newest: bool = False


class BracketKeeper:
    """The open brackets of one account."""

    def __init__(self, writer: CommandWriter, clock: Clock, alerts: Alerts, reached: Reached = pass_by) -> None:
        self._writer = writer
        self._clock = clock
        self._alerts = alerts
        self._reached = reached
        self._desk: Desk | None = None
        self._brackets: dict[OrderId, Bracket] = {}
        self._group_of: dict[OrderId, OrderId] = {}
        self._naked: dict[OrderId, _Naked] = {}
        self._stopped_at: dict[OrderId, datetime] = {}  # since when a stop rests
        self._wanted_out: set[OrderId] = set()
        self._leaving: set[OrderId] = set()  # a close is being sent
        self._closed_until: dict[OrderId, float] = {}  # when the exchange, which did nothing, may be asked again
        self._ahead = StopsAhead()
        self._idle_tries: dict[tuple[OrderId, Leg], _IdleTries] = {}
        self._restored: set[OrderId] = set()  # brackets that were over and are open again
        self._over: dict[OrderId, Bracket] = {}  # the newest that ended: a late execution opens one again
        self._acting: set[OrderId] = set()
        self._changed: set[OrderId] = set()
        self._paused = True
        self.on_closed: Callable[[], None] = _nothing
        self.on_exit_refused: Callable[[OrderId], Awaitable[None]] = _nobody_looks
        self._looked_into: set[OrderId] = set()  # brackets whose refused way out somebody looks into
        self.tasks = Background()

    def attach(self, desk: Desk) -> None:
        """Name the desk that does the work."""
        self._desk = desk

    @property
    def open_brackets(self) -> dict[OrderId, Bracket]:
        """Return the brackets that are not over, by the order id of their entry."""
        return self._brackets

    def knows(self, group_id: OrderId) -> bool:
        """Tell whether a bracket is open, or ended not long ago."""
        return group_id in self._brackets or group_id in self._over

    def bracket_on(self, symbol: str, strategy_id: StrategyId | None = None) -> Bracket | None:
        """Return the open bracket on a symbol, of one strategy or of any."""
        for bracket in self._brackets.values():
            entry = bracket.entry
            if entry and entry.symbol == symbol and strategy_id in (None, entry.strategy_id):
                return bracket
        return None

    def correlation_of(self, group_or_order: OrderId) -> UUID:
        """Return the signal behind a bracket, or the bracket itself where there was none."""
        group_id = self._group_of.get(group_or_order, group_or_order)
        entry = self._bracket(group_id).entry
        signal_id = entry.signal_id if entry else None
        return signal_id or group_id

    def observe(self, event: OrderEvent) -> None:
        """Take an order event of the account; what follows from it is done in the background."""
        if isinstance(event, OrderCreated):
            self._group_of[event.order_id] = event.group_id
        group_id = self._group_of.get(event.order_id)
        if group_id is None:
            return
        after = evolve(self._bracket(group_id), event)
        if not self._is_open(group_id, after):
            return
        self._note_protection(group_id, after, event)
        if isinstance(event, OrderRejected) and after.closing and group_id != event.order_id:
            self.tasks.start(self._look_into_refusal(group_id))
        self._look_after(group_id)

    async def _look_into_refusal(self, group_id: OrderId) -> None:
        """Have it looked into once for all refusals until then: the way out is tried every few seconds."""
        if group_id in self._looked_into:
            return
        self._looked_into.add(group_id)
        try:
            await self.on_exit_refused(group_id)
        finally:
            self._looked_into.discard(group_id)

    def observe_executed(self, order_id: OrderId, quantity: Decimal, *, over: bool) -> None:
        """Take how much of an order is executed: protection does not wait for the executions themselves."""
        group_id = self._group_of.get(order_id)
        if group_id is None:
            return
        after = with_executed(self._bracket(group_id), order_id, quantity, over=over)
        if self._is_open(group_id, after):
            self._look_after(group_id)

    def observe_untold(self, entry_id: OrderId) -> None:
        """Take that nothing tells what became of an entry: protection does not wait until something does."""
        after = with_presumed(self._bracket(entry_id))
        if self._is_open(entry_id, after):
            self._look_after(entry_id)

    def _bracket(self, group_id: OrderId) -> Bracket:
        return self._brackets.get(group_id) or self._over.get(group_id, Bracket())

    def _is_open(self, group_id: OrderId, after: Bracket) -> bool:
        """Keep a bracket as it is now; one that was over is opened again when something of it lives."""
        if group_id in self._over:
            if after.over:
                self._over[group_id] = after
                return False
            del self._over[group_id]
            self._alerts.critical("position.opened_again", group_id=group_id, position=after.position)
            self.restore(after)
        self._brackets[group_id] = after
        return True

    def restore(self, bracket: Bracket) -> None:
        """Have what a bracket that was held for over has at stake counted again; a restart finds it by that."""
        entry = bracket.entry
        if entry is None or entry.reference_price is None:
            raise LookupError("a bracket is restored only with its entry")
        notional = entry.quantity * entry.reference_price
        restored = RestoreExposure(
            entry.account_id, entry.order_id, entry.strategy_id, entry.symbol, notional, self._clock.now()
        )
        self._writer.put(restored, SYSTEM)
        self._restored.add(entry.order_id)

    def adjust(self, group_id: OrderId, closed_elsewhere: Decimal) -> None:
        """Take note how much of a position somebody else closed, all together."""
        self._brackets[group_id] = replace(self._brackets[group_id], closed_elsewhere=closed_elsewhere)
        self._look_after(group_id)

    def resume(self) -> None:
        """Start to act: the brackets of the log have been compared with the exchange."""
        self._paused = False
        for group_id in list(self._brackets):
            self._look_after(group_id)

    def want_out(self, groups: Iterable[OrderId]) -> None:
        """Close positions at market, protected until they are flat."""
        for group_id in groups:
            self._wanted_out.add(group_id)
            self._look_after(group_id)

    def _look_after(self, group_id: OrderId) -> None:
        if self._paused or group_id not in self._brackets:
            return
        self._changed.add(group_id)
        if group_id not in self._acting:
            self._acting.add(group_id)
            self.tasks.start(self._act(group_id))

    async def _act(self, group_id: OrderId) -> None:
        try:
            while group_id in self._changed and group_id in self._brackets:
                self._changed.discard(group_id)
                await self._await_whole_entry(group_id)
                bracket = self._brackets[group_id]
                if bracket.over:
                    self._finish(group_id, bracket)
                    return
                steps = next_steps(bracket)
                if group_id in self._wanted_out and bracket.position > 0 and not bracket.closing:
                    steps.append(Open(Leg.CLOSE, bracket.position))
                if any(isinstance(step, Open) for step in steps) and await self._found_lost_legs(bracket):
                    self._changed.add(group_id)  # what was found may change what is to be done, and under which id
                    continue
                for step in steps:
                    if isinstance(step, Cancel):
                        self.tasks.start(self._do(bracket, step))  # no cancel holds up a stop
                    elif step.leg is Leg.CLOSE and group_id not in self._leaving:
                        self._leaving.add(group_id)
                        self.tasks.start(self._leave(group_id, bracket, step))  # nor does the way out
                stops = [step for step in steps if isinstance(step, Open) and step.leg is not Leg.CLOSE]
                if bracket.position <= 0 and not self._ahead.may_go(group_id, self._clock.monotonic()):
                    self._look_after_later(group_id)  # what becomes known meanwhile does not wait
                else:
                    await asyncio.gather(*(self._do(bracket, step) for step in stops))
        finally:
            self._acting.discard(group_id)

    def _look_after_later(self, group_id: OrderId) -> None:
        async def wait(seconds: float) -> None:
            await asyncio.sleep(seconds)
            self._ahead.waited(group_id)
            self._look_after(group_id)

        seconds = self._ahead.begin_to_wait(group_id, self._clock.monotonic())
        if seconds is not None:
            self.tasks.start(wait(seconds))

    async def _found_lost_legs(self, bracket: Bracket) -> bool:
        entry, desk = bracket.entry, self._desk
        return entry is not None and desk is not None and await desk.find_lost_legs(entry.symbol)

    async def _leave(self, group_id: OrderId, bracket: Bracket, step: Open) -> None:
        try:
            await self._do(bracket, step)
        finally:
            self._leaving.discard(group_id)
        self._look_after(group_id)

    async def _await_whole_entry(self, group_id: OrderId) -> None:
        deadline = self._clock.monotonic() + ENTRY_PATIENCE_SECONDS
        while self._clock.monotonic() < deadline:
            bracket = self._brackets[group_id]
            if bracket.entry_over or bracket.position <= 0 or bracket.of(Leg.STOP):
                return
            await asyncio.sleep(0.005)

    async def _do(self, bracket: Bracket, step: Open | Cancel) -> None:
        entry, desk = bracket.entry, self._desk
        if entry is None or desk is None:
            raise LookupError("a bracket acts only with its entry and a desk")
        match step:
            case Cancel():
                await desk.cancel(step.created, step.reason)
            case Open():
                await asyncio.sleep(self._pause_before(entry.order_id, step.leg, bracket.next_sequence(step.leg)))
                now = self._brackets.get(entry.order_id, Bracket())
                if (now.at_stake if step.leg is Leg.STOP else now.position) <= 0:
                    return  # it is flat by now: what is held on the symbol may be another bracket's
                if step.leg is Leg.EMERGENCY and not now.of(Leg.EMERGENCY):
                    self._raise_alarm(bracket, entry)
                opens_in = await desk.open_leg(entry, step.leg, now.next_sequence(step.leg), step.quantity)
                self._note_try(entry.order_id, step.leg, opens_in)
                if failures := failures_ahead(self._brackets.get(entry.order_id, Bracket())):
                    self._ahead.failed(entry.order_id, failures, self._clock.monotonic())
        if entry.order_id in self._brackets:
            self._changed.add(entry.order_id)

    def _note_try(self, group_id: OrderId, leg: Leg, opens_in: float | None) -> None:
        """Take note whether a leg went out, or after how many seconds the next one may."""
        idle = self._idle_tries.setdefault((group_id, leg), _IdleTries())
        idle.newest = opens_in is not None
        if opens_in is not None:
            idle.count += 1
            self._closed_until[group_id] = self._clock.monotonic() + opens_in

    def _pause_before(self, group_id: OrderId, leg: Leg, sequence: int) -> float:
        """Return how long to wait before a leg is sent.

        Where the exchange opens again in a moment, until then: a try before it is spent for nothing, a later one costs
        time. A longer wait is no reason not to call a person now. Tries that never went out slow down no other one.
        """
        opens_in = self._closed_until.pop(group_id, 0.0) - self._clock.monotonic()
        if 0 < opens_in <= WAY_OUT_PAUSE_SECONDS[-1]:
            return opens_in
        if leg in (Leg.CLOSE, Leg.EMERGENCY):
            idle = self._idle_tries.get((group_id, leg), _IdleTries())
            tries = sequence if idle.newest else sequence - idle.count
            return WAY_OUT_PAUSE_SECONDS[min(tries, len(WAY_OUT_PAUSE_SECONDS)) - 1]
        return 0.0

    # Milestones

    def _note_protection(self, group_id: OrderId, bracket: Bracket, event: OrderEvent) -> None:
        """Measure from the first fill to the first stop that rests, once per bracket.

        A recovery may learn of the stop before it learns of the fill.
        """
        if isinstance(event, OrderFilled) and event.leg is Leg.ENTRY and bracket.entered == event.quantity:
            self._naked[group_id] = _Naked(event.filled_at, self._clock.monotonic())
        if isinstance(event, OrderAccepted) and event.order_id in [o.created.order_id for o in bracket.of(Leg.STOP)]:
            self._stopped_at[group_id] = event.accepted_at
        naked, stopped_at, entry = self._naked.get(group_id), self._stopped_at.get(group_id), bracket.entry
        if naked is None or stopped_at is None or entry is None:
            return
        del self._naked[group_id]
        by_exchange = (stopped_at - naked.filled_at).total_seconds()
        seconds = Decimal(f"{max(by_exchange, self._clock.monotonic() - naked.monotonic):.3f}")
        protected = RecordProtected(group_id, entry.account_id, entry.symbol, naked.filled_at, seconds, stopped_at)
        self._writer.put(protected, SYSTEM)

    def _raise_alarm(self, bracket: Bracket, entry: OrderCreated) -> None:
        attempts = stop_failures(bracket)
        self._alerts.critical(
            "position.protection_failed", account_id=entry.account_id, symbol=entry.symbol, attempts=attempts
        )
        failed = RecordProtectionFailed(
            entry.order_id, entry.account_id, entry.user_id, entry.symbol, attempts, self._clock.now()
        )
        self._writer.put(failed, SYSTEM)

    def _finish(self, group_id: OrderId, bracket: Bracket) -> None:
        entry = bracket.entry
        if entry is None or self._desk is None:
            raise LookupError("a bracket ends only with its entry and a desk")
        if bracket.entered > 0:
            self._writer.put(_closing(bracket, entry, self._clock.now()), SYSTEM)
        if bracket.entered == 0 or group_id in self._restored:  # the first close of a bracket releases, no later one
            self._restored.discard(group_id)
            self._writer.put(ReleaseExposure(entry.account_id, group_id, self._clock.now()), SYSTEM)
        self._reached(Step.POSITION_CLOSED)
        self._desk.forget(group_id)
        self._over[group_id] = self._brackets.pop(group_id)
        if len(self._over) > REMEMBERED_BRACKETS:
            oldest = next(iter(self._over))
            del self._over[oldest]
            self._group_of = {order: group for order, group in self._group_of.items() if group != oldest}
        self._naked.pop(group_id, None)
        self._stopped_at.pop(group_id, None)
        self._wanted_out.discard(group_id)
        self._closed_until.pop(group_id, None)
        self._ahead.forget(group_id)
        for leg in Leg:
            self._idle_tries.pop((group_id, leg), None)
        self.on_closed()


def _nothing(*_about: object) -> None:
    """Nobody listens."""


async def _nobody_looks(_group_id: OrderId) -> None:
    """Do nothing."""


def _closing(bracket: Bracket, entry: OrderCreated, at: datetime) -> CloseBracket:
    return CloseBracket(
        group_id=entry.order_id,
        user_id=entry.user_id,
        account_id=entry.account_id,
        strategy_id=entry.strategy_id,
        symbol=entry.symbol,
        quantity=bracket.entered,
        entry_price=_average(bracket.entered_notional, bracket.entered),
        exit_price=_average(bracket.exited_notional, bracket.exited),
        realized_pnl=bracket.realized_pnl,
        commissions=tuple(Money(amount, asset) for asset, amount in sorted(bracket.commissions.items())),
        close_reason="ELSEWHERE" if bracket.closed_elsewhere else (bracket.last_exit or "NONE"),
        opened_at=bracket.opened_at,
        at=at,
    )


def _average(notional: Decimal, quantity: Decimal) -> Decimal | None:
    return (notional / quantity).quantize(Decimal("1e-8")) if quantity > ZERO else None
