"""Puts one account to work: session, desk, brackets, journal, ledger, all behind one fence. The one assembly of it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from patriot.accounts.effects import AccountLedger
from patriot.accounts.other_trades import OtherTrades
from patriot.accounts.ports import ApiKey
from patriot.execution.commands import RecordRouting, RequestClose
from patriot.execution.decider import PROTECTION
from patriot.execution.effects import BracketKeeper
from patriot.execution.events import protection_stream, routing_stream
from patriot.execution.ports import LoggedBracket
from patriot.execution.reads import RETRY_SECONDS
from patriot.execution.worker import AccountWorker
from patriot.kernel.bus import Decided, decode_all
from patriot.kernel.codec import EVENTS
from patriot.kernel.errors import CommandRefused, ExchangeError, ExchangeRefused
from patriot.kernel.eventstore import Actor, Context, Fence
from patriot.kernel.patience import patiently
from patriot.kernel.tasks import when_stored
from patriot.orders.client_ids import group_of, parse_client_order_id
from patriot.orders.commands import PlaceOrder, RecordFill
from patriot.orders.desk import OrderDesk
from patriot.orders.events import OrderCreated, order_stream
from patriot.orders.history import load_bracket
from patriot.orders.journal import Journal
from patriot.orders.patience import DeskPatience
from patriot.risk.decider import RISK, Reservation
from patriot.risk.events import ExposureReleased, ExposureReserved, risk_stream
from patriot.services.pace import Pace
from patriot.services.ports import Ports
from patriot.services.reconciliation import fills_booked
from patriot.services.worth import WorthOnExchange
from patriot.strategies.events import SignalGenerated, signal_stream
from patriot.trading.steps import Step
from patriot.trading.terms import AccountId, OrderId, SignalId, StrategyId, UserId, VenueId


@dataclass(frozen=True, slots=True)
class LinkedAccount:
    """Whose account it is, and where."""

    account_id: AccountId
    user_id: UserId
    venue_id: VenueId


@dataclass(frozen=True, slots=True)
class WorkingAccount:
    """One account's worker with what belongs to it (`execution/ports.py AccountAtWork`)."""

    worker: AccountWorker
    ledger: AccountLedger
    fence: Fence


@dataclass(frozen=True, slots=True)
class EntryChecks:
    """What is asked before an entry of an earlier life goes out."""

    leverage_of: Callable[[OrderCreated], int | None]  # what it was sized for
    may_enter: Callable[[OrderCreated], Awaitable[bool]]  # by the log; errors: StoreUnavailable


def put_to_work(
    ports: Ports,
    account: LinkedAccount,
    key: ApiKey,
    fence: Fence,
    pace: Pace,
    patience: DeskPatience,
    checks: EntryChecks,
) -> WorkingAccount:
    """Return an account ready to run.

    Errors: NotFound if its exchange is not plugged in.
    """
    session = ports.venue(account.venue_id).session(key)
    account_id, user_id = account.account_id, account.user_id

    async def write(command: Any, actor: Actor) -> None:
        group_or_order = getattr(command, "group_id", None) or command.order_id
        context = Context(
            correlation_id=keeper.correlation_of(group_or_order),
            user_id=user_id,
            account_id=account_id,
            actor=actor,
        )
        await ports.bus.dispatch(command, context, fence=fence)
        if isinstance(command, RecordFill):
            ports.reached(Step.FILL_RECORDED)

    async def dispatch(command: PlaceOrder | RecordRouting, context: Context) -> Decided:
        return await ports.bus.dispatch(command, context, fence=fence)

    async def prepare_again(entry: OrderCreated) -> bool:
        leverage = checks.leverage_of(entry)
        await worker.key.known()
        if worker.key.problem is not None or not await when_stored(partial(checks.may_enter, entry)):
            return False
        try:
            if leverage is not None:
                prepare = partial(worker.prepare, entry.symbol, leverage)
                await patiently(prepare, pauses=RETRY_SECONDS, errors=(ExchangeError,), final=(ExchangeRefused,))
        except (CommandRefused, ExchangeRefused):
            return False
        return True

    async def is_ours(client_order_id: str) -> bool:
        return await belongs_to(ports, account_id, client_order_id)

    async def fills_known() -> bool:
        return await worker.fetch_fills() and await fills_booked(ports)

    async def load_open() -> list[LoggedBracket]:
        return await open_brackets(ports, account_id)

    journal = Journal(write)
    keeper = BracketKeeper(journal, ports.clock, ports.alerts, ports.reached)
    desk = OrderDesk(session.orders, session.account, journal, ports.clock, keeper, patience, ports.reached)
    desk.prepare_again = prepare_again
    keeper.attach(desk)
    worth = WorthOnExchange(ports.venue(account.venue_id).market, ports.alerts)
    others = OtherTrades(account_id, user_id, session.orders, worth, is_ours, fills_known)
    ledger = AccountLedger(
        account_id, user_id, session.account, ports.bus, ports.clock, ports.store, others, worth, ports.reached
    )
    worker = AccountWorker(
        account_id,
        user_id,
        session=session.account,
        ledger=ledger,
        desk=desk,
        keeper=keeper,
        writer=journal,
        load_open=load_open,
        load_bracket=partial(logged_bracket, ports),
        load_traded=partial(traded_symbols, ports, account_id),
        dispatch=dispatch,
        venue_said=pace.venue_said,
        clock=ports.clock,
        alerts=ports.alerts,
        takeover_seconds=patience.predecessor,
    )
    return WorkingAccount(worker, ledger, fence)


async def belongs_to(ports: Ports, account_id: AccountId, client_order_id: str) -> bool:
    """Tell whether the log has the bracket of an account that an order's client id names.

    Another bracket's id is not ours: of an account that was linked before, or of another platform.
    """
    if parse_client_order_id(client_order_id) is None:
        return False
    events = decode_all(await ports.store.read_stream(order_stream(group_of(client_order_id))))
    return bool(events) and events[0].account_id == account_id


async def open_brackets(ports: Ports, account_id: AccountId) -> list[LoggedBracket]:
    """Return what is not over: whatever still reserves exposure on the account's risk stream."""
    return [await logged_bracket(ports, group_id) for group_id in await _reserved(ports, account_id)]


async def logged_bracket(ports: Ports, group_id: OrderId) -> LoggedBracket:
    """Return a bracket as the log has it; without events if there is none."""
    events = await load_bracket(ports.store, group_id)
    milestones = PROTECTION.fold(decode_all(await ports.store.read_stream(protection_stream(group_id))))
    wanted_out = milestones.close_requested and not milestones.closed
    return LoggedBracket(group_id, events, wanted_out, milestones.closed_elsewhere, milestones.closed)


async def request_closes(
    ports: Ports, account_id: AccountId, reason: str, strategy_id: StrategyId | None = None
) -> None:
    """Leave the wish to close an account's positions, or those of one strategy, for the worker that comes next."""
    for group_id, held in (await _reserved(ports, account_id)).items():
        if strategy_id in (None, held.strategy_id):
            request = RequestClose(group_id, account_id, reason, ports.clock.now())
            await ports.bus.dispatch(request, Context(group_id, account_id=account_id))


async def close_signalled(ports: Ports, account_id: AccountId, signal: SignalGenerated) -> OrderId | None:
    """Leave the wish to close a signal's position for the worker that comes next; return its bracket, None if none.

    One that was opened after the signal is not meant.
    """
    for group_id, held in (await _reserved(ports, account_id)).items():
        if (held.symbol, held.strategy_id) == (signal.symbol, signal.strategy_id):
            created = decode_all(await ports.store.read_stream(order_stream(group_id)))[0]
            if await opened_after(ports, created, signal):
                continue
            request = RequestClose(group_id, account_id, "SIGNAL", ports.clock.now())
            await ports.bus.dispatch(request, Context(signal.signal_id, account_id=account_id))
            return group_id
    return None


async def opened_after(ports: Ports, entry: OrderCreated, signal: SignalGenerated) -> bool:
    """Tell whether an entry's signal came after another signal: by the log, whatever clocks said then."""
    if entry.signal_id is None:
        return False
    came = [await ports.store.read_stream(signal_stream(one)) for one in (entry.signal_id, signal.signal_id)]
    return not ports.feed.reached(came[1][0].place, came[0][0].place)


async def was_placed(ports: Ports, order_id: OrderId) -> bool:
    """Tell whether the log has an order."""
    return bool(await ports.store.read_stream(order_stream(order_id)))


async def was_routed(ports: Ports, signal_id: SignalId, account_id: AccountId) -> bool:
    """Tell whether the log says what became of a signal on an account."""
    return bool(await ports.store.read_stream(routing_stream(signal_id, account_id)))


async def traded_symbols(ports: Ports, account_id: AccountId, since: datetime) -> list[str]:
    """Return the symbols of which a bracket was open at a time or later."""
    released: dict[OrderId, datetime] = {}
    symbol_of: dict[OrderId, str] = {}
    for envelope in await ports.store.read_stream(risk_stream(account_id)):
        match EVENTS.decode(envelope.event_type, envelope.schema_version, envelope.data):
            case ExposureReserved() as reserved:
                symbol_of[reserved.order_id] = reserved.symbol
                released.pop(reserved.order_id, None)
            case ExposureReleased() as given:
                released[given.order_id] = envelope.recorded_at
    lately = (symbol for order_id, symbol in symbol_of.items() if released.get(order_id, since) >= since)
    return list(dict.fromkeys(lately))


async def _reserved(ports: Ports, account_id: AccountId) -> Mapping[OrderId, Reservation]:
    """Return what is open: whatever reserves exposure on the account's risk stream."""
    return RISK.fold(decode_all(await ports.store.read_stream(risk_stream(account_id)))).reserved
