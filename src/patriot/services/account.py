"""Puts the parts of one account's work together: session, desk, brackets, journal, ledger, all behind one fence."""

from dataclasses import dataclass
from typing import Any

from patriot.accounts.effects import AccountLedger
from patriot.accounts.ports import ApiKey
from patriot.adapters.exchanges.binance.venue import BinanceVenue
from patriot.execution.decider import PROTECTION
from patriot.execution.effects import BracketKeeper
from patriot.execution.events import protection_stream
from patriot.execution.worker import AccountWorker, OpenBracket
from patriot.kernel.bus import Decided, decode_all
from patriot.kernel.eventstore import Actor, Context, Fence
from patriot.orders.commands import PlaceOrder, RecordFill
from patriot.orders.desk import OrderDesk
from patriot.orders.history import load_bracket
from patriot.orders.journal import Journal
from patriot.orders.patience import DeskPatience
from patriot.risk.decider import RISK
from patriot.risk.events import risk_stream
from patriot.services.pace import Pace
from patriot.services.parts import Parts
from patriot.trading.steps import Step
from patriot.trading.terms import AccountId, UserId


@dataclass(frozen=True, slots=True)
class AccountAtWork:
    """One account's worker with what belongs to it."""

    worker: AccountWorker
    venue: BinanceVenue
    ledger: AccountLedger
    fence: Fence


def build_account(
    parts: Parts, account_id: AccountId, user_id: UserId, key: ApiKey, fence: Fence, pace: Pace, patience: DeskPatience
) -> AccountAtWork:
    """Return an account ready to run."""
    venue = parts.venue(key)

    async def write(command: Any, actor: Actor) -> Decided:
        group_or_order = getattr(command, "group_id", None) or command.order_id
        context = Context(
            correlation_id=keeper.correlation_of(group_or_order),
            user_id=user_id,
            account_id=account_id,
            actor=actor,
        )
        decided = await parts.bus.dispatch(command, context, fence=fence)
        if isinstance(command, RecordFill):
            parts.reached(Step.FILL_RECORDED)
        return decided

    async def place(command: PlaceOrder, context: Context) -> Decided:
        return await parts.bus.dispatch(command, context, fence=fence)

    async def load_open() -> list[OpenBracket]:
        """Whatever still reserves exposure is not over: the account's risk stream is the list of open brackets."""
        risk = RISK.fold(decode_all(await parts.store.read_stream(risk_stream(account_id))))
        brackets = []
        for group_id in risk.reserved:
            events = await load_bracket(parts.store, group_id)
            milestones = PROTECTION.fold(decode_all(await parts.store.read_stream(protection_stream(group_id))))
            if not milestones.closed:
                brackets.append(OpenBracket(group_id, events, milestones.close_requested, milestones.closed_elsewhere))
        return brackets

    journal = Journal(write)
    keeper = BracketKeeper(journal, parts.clock, parts.alerts, parts.reached)
    desk = OrderDesk(venue.orders, journal, parts.clock, keeper.observe, patience, parts.reached)
    keeper.attach(desk)
    ledger = AccountLedger(account_id, user_id, venue.account, parts.bus, parts.clock, parts.store, parts.reached)
    worker = AccountWorker(
        account_id,
        user_id,
        session=venue.account,
        ledger=ledger,
        desk=desk,
        keeper=keeper,
        writer=journal,
        load_open=load_open,
        dispatch=place,
        venue_said=pace.venue_said,
        clock=parts.clock,
        alerts=parts.alerts,
        takeover_seconds=patience.predecessor,
    )
    return AccountAtWork(worker, venue, ledger, fence)
