"""The execution service: one worker per account under its lease, and the fan-out of signals to them.

The only process that unseals a key.
"""

import asyncio
from contextlib import suppress
from datetime import datetime

import structlog

from patriot.accounts.events import AccountLinked, AccountStatus, AccountUnlinked, SampleReason
from patriot.accounts.linking import AccountLinking
from patriot.accounts.ports import KeyVault
from patriot.adapters.exchanges.binance.account import BinanceKeyProbe
from patriot.execution.commands import RequestClose
from patriot.execution.followers import BookEvent, FollowerBook
from patriot.execution.routing import Reach, SignalRouter
from patriot.execution.worker import AccountWorker
from patriot.kernel.bus import decode_all
from patriot.kernel.codec import EVENTS
from patriot.kernel.errors import (
    CommandRefused,
    ExchangeError,
    ExchangeRefused,
    LeaseLost,
    NotFound,
    PatriotError,
    StoreUnavailable,
)
from patriot.kernel.eventstore import Context, LogPosition
from patriot.kernel.ids import derived_id
from patriot.kernel.lease import LEASE_TTL
from patriot.kernel.projection import Recorded
from patriot.kernel.subscription import Subscription
from patriot.kernel.tasks import Background
from patriot.orders.patience import DeskPatience
from patriot.risk.decider import RISK
from patriot.risk.events import HaltLevel, ReasonCode, Scope, TradingHalted, risk_stream
from patriot.risk.policies import RiskWatch, WatchedEvent
from patriot.services.account import AccountAtWork, build_account
from patriot.services.books import RiskBooks
from patriot.services.pace import Pace
from patriot.services.parts import Parts
from patriot.strategies.events import SignalGenerated, StrategyAssigned, StrategyStatus, StrategyStopped
from patriot.trading.terms import AccountId, Instrument, OrderId, UserId

log = structlog.get_logger()
TAIL = "execution"
RESTART_SECONDS = 0.5  # doubled with each failure in a row
MAX_RESTART_SECONDS = 30.0
START_SECONDS = 30.0  # how long signals wait, at a start, for accounts to be in step with their exchange
BOOK_EVENTS: tuple[type, ...] = (*BookEvent.__args__, *WatchedEvent.__args__)
EVENT_TYPES = frozenset(EVENTS.name_of_class(cls) for cls in (*BOOK_EVENTS, SignalGenerated))


class ExecutionService:
    """Accounts at work, and signals on their way to them."""

    def __init__(self, parts: Parts, vault: KeyVault, pace: Pace, patience: DeskPatience | None = None) -> None:
        self._parts = parts
        self._vault = vault
        self._pace = pace
        self._patience = patience or DeskPatience()
        self._book = FollowerBook()
        self._watch = RiskWatch()
        self._instruments: dict[str, Instrument] = {}
        self._at_work: dict[AccountId, AccountAtWork] = {}
        self.workers: dict[AccountId, AccountWorker] = {}
        self._starting: dict[AccountId, UserId] = {}
        self._owners: dict[AccountId, UserId] = {}
        self._sampling: set[AccountId] = set()
        self._linking = AccountLinking(
            parts.bus, vault, BinanceKeyProbe(parts.session), lambda key: parts.venue(key).account, parts.clock
        )
        self._tasks = Background()
        self._chores = Background()
        reach = Reach(self.workers, self._instruments, RiskBooks(self._watch), self._request_close)
        self._router = SignalRouter(self._book, reach, parts.bus, parts.clock, parts.reached)
        self.tail = Subscription(parts.store, parts.checkpoints, TAIL, self._take, EVENT_TYPES)
        self.started = asyncio.Event()
        self._all_started = asyncio.Event()

    @property
    def busy(self) -> str:
        """Return what is under way, by account; empty when all is at rest."""
        work: dict[str, object] = {"starting": len(self._starting), "chores": self._chores.busy}
        work |= {str(account_id): worker.busy for account_id, worker in self.workers.items()}
        return ", ".join(f"{name} {count}" for name, count in work.items() if count)

    async def run(self) -> None:
        """Serve until cancelled."""
        for instrument in await self._parts.market().instruments():
            self._instruments[instrument.symbol] = instrument
        await self._read_books()
        self._watch.halts.ready = True
        for account_id in self._owners:
            self._start_work(account_id)
        if self._starting:
            with suppress(TimeoutError):
                async with asyncio.timeout(START_SECONDS):
                    await self._all_started.wait()
        self.started.set()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.tail.run())
                group.create_task(self._tasks.failed())
                group.create_task(self._chores.failed())
        finally:
            await self._chores.close()
            await self._tasks.close()

    async def _read_books(self) -> None:
        """Fold what the tail has already passed; it goes on from there."""
        end = await self._parts.checkpoints.load(TAIL)
        position = LogPosition()
        while position < end:
            batch = await self._parts.store.read_log(position, 1000, EVENT_TYPES)
            for envelope in batch:
                if envelope.log_position <= end:
                    self._fold(Recorded.of(envelope).event)
            if not batch:
                return
            position = batch[-1].log_position

    def _fold(self, event: object) -> None:
        if isinstance(event, BookEvent):
            self._book.apply(event)
        if isinstance(event, WatchedEvent):
            self._watch.apply(event)
        if isinstance(event, AccountLinked):
            self._owners[event.account_id] = event.user_id

    def _start_work(self, account_id: AccountId) -> None:
        if self._book.accounts[account_id] is not AccountStatus.UNLINKED:
            self._starting[account_id] = self._owners[account_id]
            self._tasks.start(self._keep_working(account_id, self._owners[account_id]))

    async def _take(self, recorded: Recorded) -> None:
        event = recorded.event
        self._fold(event)
        match event:
            case AccountLinked():
                self._start_work(event.account_id)
            case AccountUnlinked():
                self._end_work(event.account_id)
            case SignalGenerated():
                await self._router.route(event)
                await self._pace.settle()
            case StrategyAssigned():
                self._chores.start(self._prepare_symbol(event))
            case TradingHalted(level=HaltLevel.H2 | HaltLevel.H3):
                await self._carry_out(event)
            case StrategyStopped():
                workers = list(self.workers.values())
                strategy = str(event.strategy_id)
                await asyncio.gather(*(worker.flatten("STRATEGY_STOPPED", strategy) for worker in workers))

    async def _carry_out(self, halt: TradingHalted) -> None:
        strategy = halt.reference if halt.scope is Scope.STRATEGY else None
        meant = [worker for worker in self.workers.values() if _covers(halt, worker)]
        for worker in meant:
            worker.cancel_entries(strategy)
        if halt.level is HaltLevel.H3:
            await asyncio.gather(*(worker.flatten(halt.reason_code, strategy) for worker in meant))

    async def _request_close(self, account_id: AccountId, signal: SignalGenerated) -> OrderId | None:
        """Leave the wish to close for the worker that comes next."""
        risk = RISK.fold(decode_all(await self._parts.store.read_stream(risk_stream(account_id))))
        for group_id, held in risk.reserved.items():
            if (held.symbol, held.strategy_id) == (signal.symbol, signal.strategy_id):
                request = RequestClose(group_id, account_id, "SIGNAL", self._parts.clock.now())
                await self._parts.bus.dispatch(request, Context(signal.signal_id, account_id=account_id))
                return group_id
        return None

    async def _prepare_symbol(self, assigned: StrategyAssigned) -> None:
        strategy = self._book.strategies[assigned.strategy_id]
        worker = self.workers.get(assigned.account_id)
        if worker is not None and await worker.is_ready(START_SECONDS):
            with suppress(ExchangeError):  # the first signal tries again
                await worker.prepare(strategy.symbol, int(strategy.max_leverage))

    # One account ------------------------------------------------------------------------------------------------------

    async def _keep_working(self, account_id: AccountId, user_id: UserId) -> None:
        """Hold the account's lease and run its worker; start it over from log and exchange whenever it fails.

        Ends when the account is unlinked.
        """
        owner = str(self._parts.ids.new())
        failures = 0
        while self._book.accounts[account_id] is not AccountStatus.UNLINKED:
            try:
                await self._work(account_id, user_id, owner)
            except (PatriotError, ExceptionGroup) as error:
                if self._book.accounts[account_id] is AccountStatus.UNLINKED:
                    break
                failures += 1
                log.exception("account.worker_failed", account_id=str(account_id))
                self._parts.alerts.critical("account.worker_failed", account_id=account_id, error=error)
                if isinstance(error, NotFound):
                    self._no_longer_starting(account_id)  # a key that does not open holds up nobody else
                elif _was_refused(error):
                    self._chores.start(self._check_key(account_id, user_id))
            await asyncio.sleep(min(RESTART_SECONDS * 2 ** min(failures, 6), MAX_RESTART_SECONDS))
        self._no_longer_starting(account_id)

    def _no_longer_starting(self, account_id: AccountId) -> None:
        self._starting.pop(account_id, None)
        if not self._starting:
            self._all_started.set()

    async def _work(self, account_id: AccountId, user_id: UserId, owner: str) -> None:
        name = f"account:{account_id}"
        fence = await self._parts.leases.acquire(name, owner)
        while fence is None:
            await asyncio.sleep(RESTART_SECONDS)
            fence = await self._parts.leases.acquire(name, owner)
        key = await self._vault.open(account_id)
        account = build_account(self._parts, account_id, user_id, key, fence, self._pace, self._patience)
        self._at_work[account_id], self.workers[account_id] = account, account.worker
        self._no_longer_starting(account_id)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._renew(account, owner))
                group.create_task(self._heed(account.worker))
                await account.worker.run()
        finally:
            self._starting[account_id] = user_id
            del self.workers[account_id], self._at_work[account_id]
            with suppress(StoreUnavailable):  # then it runs out by itself
                await self._parts.leases.release(fence, owner)

    async def _renew(self, account: AccountAtWork, owner: str) -> None:
        while True:
            await asyncio.sleep(LEASE_TTL.total_seconds() / 3)
            try:
                await self._parts.leases.renew(account.fence, owner)
            except LeaseLost:
                account.worker.stop()
                return
            except StoreUnavailable:
                continue  # nobody else can take it either

    async def _heed(self, worker: AccountWorker) -> None:
        """Carry out, once the account is in step, what was asked for while nobody worked for it."""
        await asyncio.gather(self.started.wait(), worker.acting.wait())
        for strategy_id in {b.entry.strategy_id for b in worker.keeper.open_brackets.values() if b.entry is not None}:
            strategy = str(strategy_id) if strategy_id is not None else None
            level = self._watch.halts.level_for(worker.user_id, worker.account_id, strategy_id)
            followed = self._book.strategies.get(strategy_id) if strategy_id is not None else None
            if level in (HaltLevel.H2, HaltLevel.H3):
                worker.cancel_entries(strategy)
            if level is HaltLevel.H3:
                await worker.flatten(ReasonCode.HALTED, strategy)
            elif followed is not None and followed.status is StrategyStatus.STOPPED:
                await worker.flatten("STRATEGY_STOPPED", strategy)

    async def _check_key(self, account_id: AccountId, user_id: UserId) -> None:
        """Ask what a key may do now; one that gained or lost rights suspends its account."""
        context = Context(
            derived_id("key", account_id, self._parts.clock.now()), user_id=user_id, account_id=account_id
        )
        with suppress(ExchangeError, NotFound, StoreUnavailable, CommandRefused):  # the next day asks again
            await self._linking.check_key(account_id, context)

    def _end_work(self, account_id: AccountId) -> None:
        account = self._at_work.get(account_id)
        if account is not None:
            account.worker.stop()

    # Time -------------------------------------------------------------------------------------------------------------

    def sample_equity(self, reason: SampleReason) -> None:
        """Record what every account is worth now, by its exchange; one that does not answer holds up no other."""
        for account_id, account in self._at_work.items():
            if account_id not in self._sampling:
                self._sampling.add(account_id)
                self._chores.start(self._sample(account_id, account, reason))

    async def _sample(self, account_id: AccountId, account: AccountAtWork, reason: SampleReason) -> None:
        try:
            while self._at_work.get(account_id) is account:
                try:
                    await account.ledger.sync_income()  # what the stream did not tell is found within the hour
                    snapshot = await account.ledger.sample_equity(reason)
                    if snapshot is not None:
                        await account.worker.check_positions(snapshot)
                    return
                except (ExchangeError, LeaseLost):
                    return  # the next hour's sample stands in for this one
                except StoreUnavailable:
                    await asyncio.sleep(RESTART_SECONDS)
        finally:
            self._sampling.discard(account_id)

    async def tick(self, now: datetime) -> None:
        """Do what the time asks for: an hourly sample of every account."""
        hour = now.replace(minute=0, second=0, microsecond=0)
        if self._last_hour is None or hour > self._last_hour:
            self.sample_equity(SampleReason.HOURLY)
            if self._last_hour is not None and hour.date() > self._last_hour.date():
                for account_id in self._at_work:
                    self._chores.start(self._check_key(account_id, self._owners[account_id]))
            self._last_hour = hour

    _last_hour: datetime | None = None


def _covers(halt: TradingHalted, worker: AccountWorker) -> bool:
    mine = {Scope.ACCOUNT: str(worker.account_id), Scope.USER: str(worker.user_id)}
    return halt.scope not in mine or mine[halt.scope] == halt.reference


def _was_refused(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return any(_was_refused(one) for one in error.exceptions)
    return isinstance(error, ExchangeRefused)
