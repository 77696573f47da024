"""The execution service: the fan-out of signals, and the accounts that carry them out.

The only process that unseals a key.
"""

import asyncio
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import structlog

from patriot.accounts.events import AccountLinked, AccountStatus, AccountStatusChanged, AccountUnlinked, SampleReason
from patriot.accounts.linking import AccountLinking
from patriot.accounts.ports import KeyVault
from patriot.execution.fleet import AccountAtWork, Care, Fleet
from patriot.execution.reads import RETRY_SECONDS
from patriot.execution.routing import RoutingNeeds, SignalRouter
from patriot.execution.worker import AccountWorker
from patriot.kernel.errors import ExchangeError, LeaseLost, StoreUnavailable
from patriot.kernel.eventstore import START as BEGINNING
from patriot.kernel.eventstore import Context, Fence
from patriot.kernel.ids import derived_id
from patriot.kernel.patience import patiently
from patriot.kernel.policy import Keep, PolicyRunner
from patriot.kernel.projection import Recorded
from patriot.kernel.tasks import Background, when_stored, without_end
from patriot.orders.events import OrderCreated
from patriot.orders.patience import DeskPatience
from patriot.risk.events import HaltLevel, ReasonCode, Scope, TradingHalted
from patriot.services.account import (
    EntryChecks,
    LinkedAccount,
    close_signalled,
    opened_after,
    put_to_work,
    request_closes,
    was_placed,
    was_routed,
)
from patriot.services.engine import Engine
from patriot.services.execution_fold import EVENT_TYPES, ExecutionFold
from patriot.services.pace import Pace
from patriot.services.ports import Ports
from patriot.services.risk_facts import WatchedRisk, halt_in_log, may_still_enter
from patriot.strategies.commands import UnassignStrategy
from patriot.strategies.events import SignalGenerated, StrategyAssigned, StrategyStatus, StrategyStopped
from patriot.trading.terms import AccountId, Instrument, StrategyId, VenueId

log = structlog.get_logger()

TAIL = "execution"
CLOSING_WINDOW = timedelta(hours=12)  # around a month's end (docs/adr/0007-high-water-mark.md)
START_SECONDS = 10.0  # how long signals wait at a start for accounts and instruments, and with them halts: as they last


class ExecutionService(Engine):
    """Accounts at work, and signals on their way to them."""

    tail: PolicyRunner[None]

    def __init__(self, ports: Ports, vault: KeyVault, pace: Pace, patience: DeskPatience | None = None) -> None:
        self._ports = ports
        self._vault = vault
        self._pace = pace
        self._patience = patience or DeskPatience()
        self._instruments: dict[tuple[VenueId, str], Instrument] = {}
        self._sampled_at: datetime | None = None  # all accounts, once an hour
        self._began_at = BEGINNING  # where the log ended when signals began to be routed
        self._routes = Background()
        care = Care(self._put_to_work, self._catch_up, self._look_at_key)
        self.fleet = Fleet(ports.leases, ports.ids, ports.clock, ports.alerts, care)
        self._take_up(ExecutionFold())
        keep = Keep(ports.snapshots, ExecutionFold, lambda: self._known, self._take_up)
        self.tail = PolicyRunner(ports.feed, ports.checkpoints, TAIL, EVENT_TYPES, self._fold, self._react, keep)
        self.started = asyncio.Event()

    @property
    def workers(self) -> dict[AccountId, AccountWorker]:
        """Return the accounts at work in this process."""
        return self.fleet.workers

    def troubles(self) -> dict[AccountId, str]:
        """Return why accounts do not trade, in words; one that does has none."""
        return {
            one: f"it is suspended: {why}" for one, why in self._known.book.suspended.items()
        } | self.fleet.troubles()

    @property
    def busy(self) -> str:
        """Return what is under way, by account; empty when all is at rest."""
        work = {"signals": self._routes.busy} | self.fleet.busy
        return ", ".join(f"{name} {count}" for name, count in work.items() if count)

    async def run(self) -> None:
        """Serve until cancelled."""
        learning = asyncio.gather(*(self._learn_instruments(venue_id) for venue_id in self._ports.venues))
        try:
            await when_stored(self.tail.begin)
            self._known.watch.halts.ready = True
            for account_id in self._known.linked:
                self._take_on(account_id)
            await asyncio.gather(self.fleet.started(START_SECONDS), asyncio.wait({learning}, timeout=START_SECONDS))
            self._began_at = await when_stored(self._ports.feed.newest)
            self.started.set()
            self._router.go_on(self._known.newest)
            async with asyncio.TaskGroup() as group:
                group.create_task(without_end(self.tail.run, "the tail of execution"))
                group.create_task(without_end(self.fleet.failed, "the fleet"))
                group.create_task(without_end(self._routes.failed, "signals on their way"))
                group.create_task(_until_done(learning))
        finally:
            learning.cancel()
            await self._routes.close()
            await self.fleet.close()

    async def _learn_instruments(self, venue_id: VenueId) -> None:
        """Ask what a venue trades until it says so: only entries need to know."""
        instruments = self._ports.venues[venue_id].market.instruments
        for instrument in await patiently(instruments, pauses=RETRY_SECONDS, errors=(ExchangeError,)):
            self._instruments[venue_id, instrument.symbol] = instrument

    def _take_up(self, known: ExecutionFold) -> None:
        """Go on from a state; until what came after it is folded too, no entry may go out."""
        known.watch.halts.ready = False
        self._known, ports = known, self._ports
        needs = RoutingNeeds(
            self.fleet.workers,
            self._instruments,
            WatchedRisk(known.watch),
            partial(opened_after, ports),
            partial(close_signalled, ports),
            partial(was_placed, ports),
            partial(was_routed, ports),
            self.fleet.is_owned,
            self.fleet.start_chore,
            partial(halt_in_log, ports.store),
            known.newest.overtaken,
        )
        self._router = SignalRouter(known.book, needs, ports.bus, ports.clock, ports.reached)

    def _fold(self, recorded: Recorded) -> None:
        self._known.apply(recorded.event)

    def _take_on(self, account_id: AccountId) -> None:
        if self._known.book.accounts[account_id] is not AccountStatus.UNLINKED:
            self.fleet.take_on(account_id, self._known.linked[account_id].user_id)

    async def _react(self, recorded: Recorded, _follows: None) -> None:
        match event := recorded.event:
            case AccountLinked():
                self._take_on(event.account_id)
            case AccountStatusChanged(new_status=AccountStatus.ACTIVE):
                self.fleet.look_at_key(event.account_id)
            case AccountUnlinked():
                self.fleet.let_go(event.account_id)
                await self._end_following(event)
            case SignalGenerated():
                late = self._ports.feed.reached(self._began_at, recorded.envelope.place)
                await self._router.close_left_behind(event)
                self._routes.start(self._router.route(event, late=late))
                await self._pace.settle()
            case StrategyAssigned():
                self.fleet.start_chore(partial(self._prepare_symbol, event))
            case TradingHalted():
                await self._carry_out(event)
            case StrategyStopped():
                await self._flatten(list(self._known.linked), "STRATEGY_STOPPED", event.strategy_id)

    async def _end_following(self, unlinked: AccountUnlinked) -> None:
        """Have an account that comes back follow nothing that its owner does not consent to again."""
        account_id, about = unlinked.account_id, derived_id("unlinked", unlinked.account_id, unlinked.unlinked_at)
        for strategy in list(self._known.book.strategies.values()):
            if (follower := strategy.followers.get(account_id)) is not None:
                ended = ("ACCOUNT_UNLINKED", unlinked.unlinked_at, follower.assignment_id)
                command = UnassignStrategy(strategy.strategy_id, account_id, *ended)
                context = Context(about, user_id=unlinked.user_id, account_id=account_id)
                await self._ports.bus.dispatch(command, context)

    async def _carry_out(self, halt: TradingHalted) -> None:
        log.warning("trading.halted", scope=halt.scope, of=halt.reference, level=halt.level, reason=halt.reason_code)
        strategy_id = StrategyId(UUID(halt.reference)) if halt.scope is Scope.STRATEGY else None
        meant = [account.account_id for account in self._known.linked.values() if _covers(halt, account)]
        if halt.level in (HaltLevel.H2, HaltLevel.H3):
            for worker in [self.workers[account_id] for account_id in meant if account_id in self.workers]:
                worker.cancel_entries(strategy_id)
        if halt.level is HaltLevel.H3:
            await self._flatten(meant, halt.reason_code, strategy_id)

    async def _flatten(self, accounts: list[AccountId], reason: str, strategy_id: StrategyId | None) -> None:
        """Have positions closed, durably: where nobody works for an account, its next worker is left the wish.

        Errors: StoreUnavailable, after all accounts were tried: the tail comes again.
        """
        tried = [self._flatten_one(account_id, reason, strategy_id) for account_id in accounts]
        failures = [error for error in await asyncio.gather(*tried, return_exceptions=True) if error is not None]
        for error in failures:
            if not isinstance(error, StoreUnavailable):
                raise error
        if failures:
            raise StoreUnavailable(f"{len(failures)} of {len(accounts)} wishes to close are not durable yet")

    async def _flatten_one(self, account_id: AccountId, reason: str, strategy_id: StrategyId | None) -> None:
        worker = self.workers.get(account_id)
        try:
            if worker is not None:
                await worker.flatten(reason, strategy_id)
                return
        except (LeaseLost, StoreUnavailable) as ended:
            log.warning("account.close_left_to_next_worker", account_id=str(account_id), error=str(ended))
        await request_closes(self._ports, account_id, reason, strategy_id)

    async def _prepare_symbol(self, assigned: StrategyAssigned) -> None:
        """Set leverage and margin before the first signal, which tries again if this fails."""
        strategy = self._known.book.strategies[assigned.strategy_id]
        worker = self.workers.get(assigned.account_id)
        if worker is not None and await worker.is_ready(START_SECONDS):
            await worker.prepare(strategy.symbol, int(strategy.max_leverage))

    # What the fleet asks for ------------------------------------------------------------------------------------------

    async def _put_to_work(self, account_id: AccountId, fence: Fence) -> AccountAtWork:
        key = await self._vault.open(account_id)
        linked = self._known.linked[account_id]
        checks = EntryChecks(self._leverage_of, partial(may_still_enter, self._ports.store))
        return put_to_work(self._ports, linked, key, fence, self._pace, self._patience, checks)

    def _leverage_of(self, entry: OrderCreated) -> int | None:
        followed = self._known.book.strategies.get(entry.strategy_id) if entry.strategy_id is not None else None
        if followed is None:
            return None
        limits = WatchedRisk(self._known.watch).limits_for(entry.user_id, entry.account_id, followed.strategy_id)
        return int(min(followed.max_leverage, limits.max_leverage))

    async def _catch_up(self, worker: AccountWorker) -> None:
        """Carry out, once the account is in step, what was asked for while nobody worked for it."""
        await self.started.wait()
        for strategy_id in {b.entry.strategy_id for b in worker.keeper.open_brackets.values() if b.entry is not None}:
            level = self._known.watch.halts.level_for(worker.user_id, worker.account_id, strategy_id)
            followed = self._known.book.strategies.get(strategy_id) if strategy_id is not None else None
            if level in (HaltLevel.H2, HaltLevel.H3):
                worker.cancel_entries(strategy_id)
            if level is HaltLevel.H3:
                await worker.flatten(ReasonCode.HALTED, strategy_id)
            elif followed is not None and followed.status is StrategyStatus.STOPPED:
                await worker.flatten("STRATEGY_STOPPED", strategy_id)

    async def _look_at_key(self, account_id: AccountId) -> str | None:
        """Ask what a key may do now; one that may too much or too little suspends its account. Return what is wrong."""
        linked, ports = self._known.linked[account_id], self._ports
        venue = ports.venue(linked.venue_id)
        linking = AccountLinking(
            ports.bus, ports.store, self._vault, venue.probe, lambda key: venue.session(key).account, ports.clock
        )
        about = derived_id("key", account_id, ports.clock.now())
        return await linking.check_key(account_id, Context(about, user_id=linked.user_id, account_id=account_id))

    # Time -------------------------------------------------------------------------------------------------------------

    async def tick(self, now: datetime) -> None:
        """Do what the time asks for: a sample of every account each hour, a look at every key each day."""
        last = self._sampled_at
        if last is None or (now.date(), now.hour) > (last.date(), last.hour):
            self.fleet.sample_equity(SampleReason.HOURLY, paced=not _month_ends_near(now))
            if last is not None and now.date() > last.date():
                self.fleet.look_at_keys()
            self._sampled_at = now


def _month_ends_near(now: datetime) -> bool:
    """Tell whether fees depend on a sample of now: the window of a month's end reaches 12 hours both ways."""
    return (now - CLOSING_WINDOW).month != (now + CLOSING_WINDOW).month


async def _until_done(work: "asyncio.Future[list[None]]") -> None:
    await work


def _covers(halt: TradingHalted, account: LinkedAccount) -> bool:
    mine = {Scope.ACCOUNT: str(account.account_id), Scope.USER: str(account.user_id)}
    return halt.scope not in mine or mine[halt.scope] == halt.reference
