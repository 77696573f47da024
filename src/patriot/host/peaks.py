"""The way back from a drawdown, from a process of its own: two persons re-base the peak, on the log alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cmp_to_key

from patriot.accounts.events import AccountLinked, EquitySampled, TransferRecorded, account_stream, ledger_stream
from patriot.kernel.bus import CommandBus, decode_all
from patriot.kernel.clock import Clock
from patriot.kernel.errors import CommandRefused, NotFound
from patriot.kernel.eventstore import Actor, Context, Envelope, EventStore
from patriot.kernel.feed import LogFeed
from patriot.kernel.ids import Ids
from patriot.kernel.money import EXACT, plain
from patriot.kernel.projection import Recorded
from patriot.risk.commands import RebasePeak
from patriot.risk.days import DayBook
from patriot.risk.decider import loss_fraction
from patriot.risk.events import PeakRebased, Scope, halt_stream, risk_stream
from patriot.trading.terms import AccountId


@dataclass(frozen=True, slots=True)
class RebaseWish:
    """Whose drawdown is to count from now on from what is left; who asks, who approves, and why."""

    account_id: AccountId
    requested_by: str
    approved_by: str
    reason: str


async def rebase_peak(
    store: EventStore, feed: LogFeed, bus: CommandBus, clock: Clock, wish: RebaseWish, actor: Actor
) -> str:
    """Record the new peak durably, as of the account's newest sample; return what came of it.

    The risk service lifts the halt of the drawdown when it reads the event.
    Errors: NotFound; CommandRefused if nothing is lost, or not by two persons with a reason.
    """
    account_id = wish.account_id
    linked = decode_all(await store.read_stream(account_stream(account_id)))
    owner = next((event.user_id for event in linked if isinstance(event, AccountLinked)), None)
    if owner is None:
        raise NotFound(f"ACCOUNT: there is no account {account_id}")
    ledger = await store.read_stream(ledger_stream(account_id))
    known = [*ledger, *await store.read_stream(risk_stream(account_id))]
    days = _days_of(feed, known)
    risk, measured_at = days.risk_of(account_id), days.measured_at(account_id)
    if risk is None or measured_at is None:
        raise CommandRefused(f"account {account_id}: no sample shows yet what it is worth")
    halts = await store.read_stream(halt_stream(Scope.ACCOUNT, str(account_id)))
    # The platform's clock may be that of a simulator, ahead of ours: a person's word comes after what stands.
    at = max([clock.now(), measured_at, *(envelope.occurred_at for envelope in (*known, *halts))])
    command = RebasePeak(
        account_id=account_id,
        user_id=owner,
        old_peak=_short(risk.peak_equity),
        new_peak=_short(risk.equity),
        reason=wish.reason,
        requested_by=wish.requested_by,
        approved_by=wish.approved_by,
        measured_at=measured_at,
        at=at,
    )
    context = Context(Ids(clock).new(), user_id=owner, account_id=account_id, actor=actor)
    decided = await bus.dispatch(command, context)
    if not decided.events:
        return f"ACCOUNT {account_id}: its peak was re-based from this sample already"
    lost = loss_fraction(risk.equity, risk.peak_equity)
    return (
        f"ACCOUNT {account_id}: the peak is {plain(command.new_peak)}, and was {plain(command.old_peak)}"
        f" ({lost:.2%} lost), as of {measured_at.isoformat()}"
    )


def _short(amount: Decimal) -> Decimal:
    """Return the same amount without zeros at its end."""
    return Decimal(plain(amount.normalize(EXACT)))


def _days_of(feed: LogFeed, envelopes: Sequence[Envelope]) -> DayBook:
    """Return what events of several streams tell, in the order of the log."""

    def order(one: Envelope, other: Envelope) -> int:
        return 1 if feed.reached(one.place, other.place) else -1

    days = DayBook()
    for envelope in sorted(envelopes, key=cmp_to_key(order)):
        event = Recorded.of(envelope).event
        if isinstance(event, EquitySampled | TransferRecorded | PeakRebased):
            days.apply(event)
    return days
