"""Faults planted into the real parts, one at a time, so that the judge can be seen to find them."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from patriot.accounts.events import EquitySampled
from patriot.adapters.exchanges.binance import answers, session
from patriot.adapters.exchanges.binance.answers import HttpAnswer
from patriot.adapters.exchanges.binance.budget import RateBudget
from patriot.adapters.exchanges.binance.orders import BinanceOrders
from patriot.adapters.exchanges.binance.venue_time import VenueTime
from patriot.execution import bracket, effects
from patriot.execution.bracket import Bracket, Open
from patriot.execution.effects import BracketKeeper
from patriot.execution.fleet import Fleet
from patriot.execution.worker import AccountWorker
from patriot.kernel.bus import CommandBus
from patriot.kernel.errors import ExchangeError, ExchangeUnavailable, OutcomeUnknown
from patriot.kernel.eventstore import Actor
from patriot.kernel.projection import Recorded
from patriot.orders import decider
from patriot.orders.asking import OrderInquiry
from patriot.orders.commands import RecordAccepted, RecordFill, RecordRejected
from patriot.orders.decider import Order
from patriot.orders.desk import OrderDesk
from patriot.orders.events import OrderCreated, OrderEvent, RejectStage
from patriot.orders.journal import Journal
from patriot.orders.legs import venue_order
from patriot.orders.recovery import OrderRecovery
from patriot.orders.reports import ReportTaker
from patriot.orders.sending import OrderSender
from patriot.risk.commands import ReleaseExposure
from patriot.risk.decider import RISK
from patriot.services.execution import ExecutionService
from patriot.services.risk_facts import WatchedRisk
from patriot.trading.reports import OrderReport, TradeReport, VenueOrder
from patriot.trading.terms import Leg, OrderId, Urgency

Plant = Callable[[pytest.MonkeyPatch], None]
REAL_PLACE, REAL_DECIDE, REAL_ERROR_OF = BinanceOrders.place, decider.decide, answers.error_of
REAL_DISPATCH, REAL_ADMIT, REAL_STEPS = CommandBus.dispatch, RateBudget.admit, bracket.next_steps
REAL_FOLLOW, REAL_OPEN_LEG, REAL_SEND = AccountWorker._follow, OrderDesk.open_leg, OrderSender._send
REAL_ON_TRADE, REAL_RECOVER = ReportTaker.on_trade, OrderDesk.recover


def resend_without_asking(patch: pytest.MonkeyPatch) -> None:
    """Take a lost answer for a lost request, and send it again."""

    async def place(self: BinanceOrders, order: VenueOrder, sent_at: datetime) -> OrderReport:
        try:
            return await REAL_PLACE(self, order, sent_at)
        except OutcomeUnknown:
            return await REAL_PLACE(self, order, sent_at)

    patch.setattr(BinanceOrders, "place", place)


def trust_any_body(patch: pytest.MonkeyPatch) -> None:
    """Take every failure of a server for a request that did nothing."""

    def error_of(answer: HttpAnswer, *, changes_something: bool) -> ExchangeError | None:
        if answer.status >= 500:
            return ExchangeUnavailable(f"HTTP {answer.status}")
        return REAL_ERROR_OF(answer, changes_something=changes_something)

    patch.setattr(session, "error_of", error_of)


def ignore_the_lease(patch: pytest.MonkeyPatch) -> None:
    """Write without a fence."""

    async def dispatch(self: CommandBus, command: Any, context: Any, **_options: Any) -> Any:
        return await REAL_DISPATCH(self, command, context)

    patch.setattr(CommandBus, "dispatch", dispatch)


def never_see_a_lost_lease(patch: pytest.MonkeyPatch) -> None:
    """Work on for an account that another has."""

    async def renew(_self: Fleet, _account: Any, _owner: str) -> None:
        await asyncio.Event().wait()

    patch.setattr(Fleet, "_renew", renew)


def skip_the_reserve(patch: pytest.MonkeyPatch) -> None:
    """Let the way out and protection wait like everything else for the weight of the address."""

    async def admit(self: RateBudget, weight: int, _urgency: Urgency, account: object = None) -> None:
        await REAL_ADMIT(self, max(1, weight), max(Urgency), account)

    patch.setattr(RateBudget, "admit", admit)


def trust_the_local_clock(patch: pytest.MonkeyPatch) -> None:
    """Take the machine's time for the venue's."""
    patch.setattr(VenueTime, "measured", lambda _self, _time, *, asked_at: timedelta())


def forget_the_trade_id(patch: pytest.MonkeyPatch) -> None:
    """Count an execution as often as it is told."""

    def decide(order: Order, command: Any) -> list[OrderEvent]:
        forgetful = replace(order, trade_ids=frozenset()) if isinstance(command, RecordFill) else order
        return REAL_DECIDE(forgetful, command)

    patch.setattr("patriot.orders.known.ORDER", replace(decider.ORDER, decide=decide))


def stop_at_a_gap(patch: pytest.MonkeyPatch) -> None:
    """Look for no leg that the log does not know."""

    async def adopt_nothing(_self: OrderRecovery, _entry: Any, *_more: Any) -> None:
        return None

    patch.setattr(OrderRecovery, "adopt_lost_leg", adopt_nothing)


def do_not_resize(patch: pytest.MonkeyPatch) -> None:
    """Leave a stop as large as the position once was."""

    def next_steps(given: Bracket) -> list[Any]:
        steps = REAL_STEPS(given)
        if any(stop.state is bracket.LegState.RESTING for stop in given.of(Leg.STOP)):
            return [step for step in steps if not (isinstance(step, Open) and step.leg is Leg.STOP)]
        return steps

    patch.setattr(effects, "next_steps", next_steps)


def protect_late(patch: pytest.MonkeyPatch) -> None:
    """Send every stop 3 s after its time."""

    async def open_leg(self: OrderDesk, entry: OrderCreated, leg: Leg, sequence: int, quantity: Decimal) -> None:
        if leg is Leg.STOP:
            await asyncio.sleep(3)
        await REAL_OPEN_LEG(self, entry, leg, sequence, quantity)

    patch.setattr(OrderDesk, "open_leg", open_leg)


def send_twins(patch: pytest.MonkeyPatch) -> None:
    """Send every entry twice, each time under an id of its own: nothing on the exchange would notice."""

    async def send(self: OrderSender, created: OrderCreated, sent_at: datetime) -> None:
        if created.leg is Leg.ENTRY:
            twin = replace(venue_order(created), client_order_id=created.client_order_id[:-1] + "2")
            await self._venue.place(twin, sent_at)
        await REAL_SEND(self, created, sent_at)

    patch.setattr(OrderSender, "_send", send)


def call_unknown_rejected(patch: pytest.MonkeyPatch) -> None:
    """Call an order rejected as soon as no answer comes."""

    def find_out(self: OrderInquiry, created: OrderCreated, reason: str, **_since: float | None) -> None:
        at = self._clock.now()
        self._known.decide(RecordRejected(created.order_id, RejectStage.EXCHANGE, reason, None, None, at))

    patch.setattr(OrderInquiry, "find_out", find_out)


def lose_executions(patch: pytest.MonkeyPatch) -> None:
    """Lose every third execution."""

    def on_trade(self: ReportTaker, trade: TradeReport) -> None:
        if int(trade.trade_id) % 3:
            REAL_ON_TRADE(self, trade)

    patch.setattr(ReportTaker, "on_trade", on_trade)


def cancel_what_is_not_ours(patch: pytest.MonkeyPatch) -> None:
    """Cancel what rests when a life begins, whoever it belongs to."""

    async def recover(self: OrderDesk, *, takeover: bool) -> None:
        await REAL_RECOVER(self, takeover=takeover)
        venue = self.inquiry._venue
        for report in await venue.open_orders():
            await venue.cancel(report.symbol, report.client_order_id, conditional=report.conditional)

    patch.setattr(OrderDesk, "recover", recover)


def ignore_halts(patch: pytest.MonkeyPatch) -> None:
    """Let entries through while trading is halted."""
    patch.setattr(WatchedRisk, "halt_for", lambda *_of_whom: None)


def block_the_way_out(patch: pytest.MonkeyPatch) -> None:
    """Take a halt for a reason to do nothing at all."""

    async def flatten(_self: ExecutionService, *_what: Any) -> None:
        return None

    patch.setattr(ExecutionService, "_flatten", flatten)


def release_twice(patch: pytest.MonkeyPatch) -> None:
    """Give reserved exposure back as often as somebody asks, and ask twice."""
    real = RISK.decide

    def decide(state: Any, command: Any) -> list[Any]:
        events = real(state, command)
        return events * 2 if isinstance(command, ReleaseExposure) else events

    monkeyed = replace(RISK, decide=decide)
    for module in ("patriot.execution.streams", "patriot.risk.streams", "patriot.services.commands"):
        patch.setattr(f"{module}.RISK", monkeyed, raising=False)


def swallow_cancellation(patch: pytest.MonkeyPatch) -> None:
    """Go on listening when told to end."""

    async def follow(self: AccountWorker) -> None:
        try:
            await REAL_FOLLOW(self)
        except asyncio.CancelledError:
            await REAL_FOLLOW(self)

    patch.setattr(AccountWorker, "_follow", follow)


def miss_what_moves_risk(patch: pytest.MonkeyPatch) -> None:
    """Fold no sample of equity into the watch over risk."""
    real = ExecutionService._fold

    def fold(self: ExecutionService, recorded: Recorded) -> None:
        if not isinstance(recorded.event, EquitySampled):
            real(self, recorded)

    patch.setattr(ExecutionService, "_fold", fold)


def forget_to_note_an_acceptance(patch: pytest.MonkeyPatch) -> None:
    """Know of an order what the log is never told."""
    real = Journal.put

    def put(self: Journal, command: object, actor: Actor) -> None:
        if not isinstance(command, RecordAccepted):
            real(self, command, actor)

    patch.setattr(Journal, "put", put)


# What finds each, from which day of `make simulate` on: the first of all that did when this was written.
def crash_in_a_look(patch: pytest.MonkeyPatch) -> None:
    """Meet in the periodic look at resting orders what nobody thought of: the worker is started anew each time."""

    async def look(_worker: AccountWorker) -> None:
        raise KeyError("a symbol nobody thought of")

    patch.setattr(AccountWorker, "_check_resting", look)


def crash_at_the_end_of_a_bracket(patch: pytest.MonkeyPatch) -> None:
    """Meet there what nobody thought of."""

    def finish(_keeper: BracketKeeper, _group_id: OrderId, _bracket: Bracket) -> None:
        raise KeyError("a bracket nobody thought of")

    patch.setattr(BracketKeeper, "_finish", finish)


MUTANTS: list[tuple[Plant, str, int]] = [
    (resend_without_asking, "law 3: entry .* was sent again", 3),
    (trust_any_body, "law 3: entry .* was sent again", 13),
    (ignore_the_lease, "law 1: events of an order were written without a fence", 0),
    (never_see_a_lost_lease, "law 1: .* got its lease", 3),
    (skip_the_reserve, "law 2: .* was without its stop", 23),
    (trust_the_local_clock, "law 4: still busy", 6),
    (forget_the_trade_id, "law 10: order .* a replay gives", 0),
    (stop_at_a_gap, "law 4: .* is on the exchange and not in the log", 7),
    (do_not_resize, "law 2: .* was without its stop", 384),
    (protect_late, "law 2: .* was without its stop .* by its worker", 0),
    (send_twins, "law 1: 2 orders for the intent", 0),
    (call_unknown_rejected, "law 3: .* is rejected in the log and known", 77),
    (lose_executions, "law 4: .* fills the log misses", 0),
    (cancel_what_is_not_ours, "law 4: .* not ours", 5),
    (ignore_halts, "law 5: entry .* was approved while trading was halted", 62),
    (block_the_way_out, "law 5: .* still holds", 1),
    (release_twice, "law 8: .* was released more often than reserved", 0),
    (swallow_cancellation, "law 2: a process did not end", 1),
    (miss_what_moves_risk, "law 10: a replay gives another watch", 0),
    (forget_to_note_an_acceptance, "law 10: order .* a replay gives", 0),
    (crash_in_a_look, "law 2: account.worker_failed ended by itself: KeyError", 1),
    (crash_at_the_end_of_a_bracket, "law 2: account.worker_failed ended by itself: KeyError", 1),
]
