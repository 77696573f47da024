"""Keeps every linked account at work: under its lease, started over after a failure, let go when it is unlinked.

What goes wrong on one account stays with it: it is logged, alarmed and tried again, and holds up no other.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import structlog

from patriot.accounts.events import SampleReason
from patriot.execution.keys import KeyWatch, Look
from patriot.execution.ports import Alerts, Ledger
from patriot.execution.worker import AccountWorker
from patriot.kernel.clock import Clock
from patriot.kernel.errors import (
    CommandRefused,
    ExchangeError,
    ExchangeRefused,
    ExchangeUnavailable,
    LeaseLost,
    NotFound,
    PatriotError,
    StoreUnavailable,
    in_words,
)
from patriot.kernel.eventstore import Fence
from patriot.kernel.ids import Ids
from patriot.kernel.lease import LEASE_TTL, Leases
from patriot.kernel.tasks import Background, in_own_task
from patriot.trading.terms import AccountId, Urgency, UserId

log = structlog.get_logger()
RESTART_SECONDS = 0.5  # doubled with each failure in a row
MAX_RESTART_SECONDS = 30.0
STEADY_SECONDS = 60.0  # after so long at work the next failure counts as the first
SAMPLES_AT_ONCE = 4  # of one process: samples share the request budget with everything else
SAMPLE_RETRY_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0)


class AccountAtWork(Protocol):
    """One account's worker, its money records, and the fence that its writes carry."""

    @property
    def worker(self) -> AccountWorker:
        """Return what trades for it."""
        ...

    @property
    def ledger(self) -> Ledger:
        """Return its money records."""
        ...

    @property
    def fence(self) -> Fence:
        """Return the fence of the lease."""
        ...


PutToWork = Callable[[AccountId, Fence], Awaitable[AccountAtWork]]


@dataclass(frozen=True, slots=True)
class Care:
    """What the fleet asks of others for one account."""

    put_to_work: PutToWork  # errors: NotFound for a key that does not open
    catch_up: Callable[[AccountWorker], Awaitable[None]]  # carry out what was asked for while nobody worked for it
    look_at_key: Look


class Fleet:
    """The accounts that this process works for."""

    def __init__(self, leases: Leases, ids: Ids, clock: Clock, alerts: Alerts, care: Care) -> None:
        self._leases = leases
        self._ids = ids
        self._clock = clock
        self._alerts = alerts
        self._care = care
        self._owners: dict[AccountId, UserId] = {}  # accounts that are linked
        self._at_work: dict[AccountId, AccountAtWork] = {}
        self._starting: set[AccountId] = set()
        self._all_started = asyncio.Event()
        self._sampling: dict[AccountId, SampleReason] = {}
        self._sample_slots = asyncio.Semaphore(SAMPLES_AT_ONCE)
        self._failures: dict[AccountId, str] = {}  # the last one of each
        self._lives: dict[AccountId, tuple[int, float]] = {}  # the last worker of each: its fence's token, and its end
        self._keepers = Background()
        self._chores = Background()
        self.workers: dict[AccountId, AccountWorker] = {}
        self._keys = KeyWatch(care.look_at_key, self.workers, clock, alerts, self._chores)

    @property
    def busy(self) -> dict[str, object]:
        """Return what is under way, by account; values are zero or empty when all is at rest."""
        work: dict[str, object] = {"starting": len(self._starting), "chores": self._chores.busy}
        return work | {str(account_id): worker.busy for account_id, worker in self.workers.items()}

    def troubles(self) -> dict[AccountId, str]:
        """Return why accounts are not in step with their exchange, in words; one that is has none."""
        found: dict[AccountId, str] = {}
        for account_id in self._owners:
            worker, failure = self.workers.get(account_id), self._failures.get(account_id)
            if worker is None:
                found[account_id] = f"nobody works for it: {failure or 'it waits for its lease'}"
            elif not worker.ready.is_set():
                told = ["it is compared with its exchange" + (f", after {failure}" if failure else "")]
                found[account_id] = ", ".join(told + worker.reads.words)
            elif not self._at_work[account_id].ledger.opened:
                found[account_id] = "its books are not open yet, and nothing is entered before"
            elif not worker.key.is_known:
                found[account_id] = "its key was not looked at yet, and nothing is entered before"
            elif refused := ", ".join([*worker.refusals.words, *worker.reads.words]):
                found[account_id] = f"{refused}: it is tried again and again"
        return found

    def take_on(self, account_id: AccountId, user_id: UserId) -> None:
        """Start to work for an account that is linked."""
        if account_id not in self._owners:
            self._owners[account_id] = user_id
            self._starting.add(account_id)
            self._keepers.start(self._keep_working(account_id))

    def let_go(self, account_id: AccountId) -> None:
        """Stop working for an account that was unlinked."""
        self._owners.pop(account_id, None)
        self._failures.pop(account_id, None)
        self._keys.forget(account_id)
        if account_id in self.workers:
            self.workers[account_id].stop()

    async def started(self, within_seconds: float) -> None:
        """Wait until every account that was taken on is at work, or for so long."""
        if self._starting:
            with suppress(TimeoutError):
                async with asyncio.timeout(within_seconds):
                    await self._all_started.wait()

    async def failed(self) -> None:
        """Wait for ever, or raise what was not foreseen of one account or chore."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keepers.failed())
            group.create_task(self._chores.failed())

    async def close(self) -> None:
        """End all work."""
        await self._chores.close()
        await self._keepers.close()

    async def is_owned(self, account_id: AccountId) -> bool:
        """Tell whether any process works for an account, or is about to."""
        return await self._leases.is_held(f"account:{account_id}")

    def start_chore(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do something in the background that may fail like an exchange or a store."""
        self._chores.start(_tolerant(work))

    # One account ------------------------------------------------------------------------------------------------------

    async def _keep_working(self, account_id: AccountId) -> None:
        """Hold the account's lease and run its worker; start it over from log and exchange whenever it fails."""
        owner = str(self._ids.new())
        failures = 0
        while account_id in self._owners:
            began = self._clock.monotonic()
            try:
                await in_own_task(self._work(account_id, owner))
            except (PatriotError, ExceptionGroup) as error:
                if account_id not in self._owners:
                    break
                failures = 1 if self._clock.monotonic() - began > STEADY_SECONDS else failures + 1
                self._tell_of_failure(account_id, error)
            await asyncio.sleep(min(RESTART_SECONDS * 2 ** min(failures, 6), MAX_RESTART_SECONDS))
        self._no_longer_starting(account_id)

    def _tell_of_failure(self, account_id: AccountId, error: BaseException) -> None:
        self._failures[account_id] = in_words(error)
        log.error("account.worker_failed", account_id=str(account_id), exc_info=error)
        self._alerts.critical("account.worker_failed", account_id=account_id, error=error)
        if isinstance(error, NotFound):
            self._no_longer_starting(account_id)  # a key that does not open holds up nobody else

    def _no_longer_starting(self, account_id: AccountId) -> None:
        self._starting.discard(account_id)
        if not self._starting:
            self._all_started.set()

    async def _work(self, account_id: AccountId, owner: str) -> None:
        name = f"account:{account_id}"
        fence = await self._leases.acquire(name, owner)
        while fence is None:
            await asyncio.sleep(RESTART_SECONDS)
            fence = await self._leases.acquire(name, owner)
        log.info("account.at_work", account_id=str(account_id), fence=fence.token)
        try:
            await self._work_under(fence, account_id, owner)
        finally:
            with suppress(StoreUnavailable):  # then it runs out by itself
                await self._leases.release(fence, owner)

    async def _work_under(self, fence: Fence, account_id: AccountId, owner: str) -> None:
        account = await self._care.put_to_work(account_id, fence)
        token, ended = self._lives.get(account_id, (-1, 0.0))
        if fence.token <= token + 1:  # nobody else had the account since
            account.worker.predecessor_ended = ended
        self._at_work[account_id], self.workers[account_id] = account, account.worker
        account.worker.refusals.on_key_refused = partial(self._keys.refused, account_id)
        account.worker.reads.on_key_refused = partial(self._keys.refused, account_id)
        self._no_longer_starting(account_id)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._renew(account, owner))
                group.create_task(self._catch_up(account.worker))
                await account.worker.run()
        finally:
            self._lives[account_id] = fence.token, self._clock.monotonic()
            self._starting.add(account_id)
            del self.workers[account_id], self._at_work[account_id]

    async def _renew(self, account: AccountAtWork, owner: str) -> None:
        every = LEASE_TTL.total_seconds() / 3
        pause = every
        while True:
            await asyncio.sleep(pause)
            try:
                async with asyncio.timeout(every):  # one that hangs would hide that another owner has the lease
                    await self._leases.renew(account.fence, owner)
                pause = every
            except LeaseLost:
                log.warning("account.lease_lost", account_id=str(account.worker.account_id))
                account.worker.stop()
                return
            except (StoreUnavailable, TimeoutError):
                pause = RESTART_SECONDS  # positions are protected meanwhile; the fence holds up what is written

    async def _catch_up(self, worker: AccountWorker) -> None:
        await worker.acting.wait()
        self._keys.look_at(worker.account_id)  # it may have changed while nobody looked
        await self._care.catch_up(worker)

    # Time -------------------------------------------------------------------------------------------------------------

    def sample_equity(self, reason: SampleReason, *, paced: bool = True) -> None:
        """Record what every account is worth now, by its exchange; each is tried until it succeeds.

        Paced, a few are read at once and leave the request budget to others. An account whose last sample is still
        being tried gets one for both.
        """
        for account_id in self._at_work:
            waiting = account_id in self._sampling
            self._sampling[account_id] = reason
            if not waiting:
                self._chores.start(self._sample(account_id, paced=paced))

    async def _sample(self, account_id: AccountId, *, paced: bool) -> None:
        turn = self._sample_slots if paced else nullcontext()
        urgency, tries = Urgency.BACKGROUND if paced else Urgency.NORMAL, 0
        try:
            while account_id in self._owners:
                try:
                    async with turn:
                        if await self._sampled(account_id, urgency):
                            return
                    pause = RESTART_SECONDS  # nobody works for it just now
                except (ExchangeError, LeaseLost, StoreUnavailable) as error:
                    if isinstance(error, ExchangeRefused) and error.about_key:
                        self._keys.refused(account_id)
                    if tries == 0:
                        log.warning("account.sample_late", account_id=str(account_id), error=str(error))
                    asked = error.retry_after_seconds if isinstance(error, ExchangeUnavailable) else None
                    pause = max(asked or 0.0, SAMPLE_RETRY_SECONDS[min(tries, len(SAMPLE_RETRY_SECONDS) - 1)])
                    tries += 1
                await asyncio.sleep(pause)
        finally:
            self._sampling.pop(account_id, None)

    async def _sampled(self, account_id: AccountId, urgency: Urgency) -> bool:
        account = self._at_work.get(account_id)
        if account is None:
            return False
        try:
            await account.ledger.sync_income(urgency=urgency)  # what the stream did not tell is found within the hour
        except ExchangeRefused as refusal:
            if refusal.about_key:
                raise
            account.worker.money.ask()  # tried on there, and told; the hour's sample does not wait for it
        snapshot = await account.ledger.sample_equity(self._sampling[account_id])
        if snapshot is not None:
            account.worker.look_at(snapshot)
        return True

    def look_at_key(self, account_id: AccountId) -> None:
        """Ask what an account's key may do now."""
        self._keys.look_at(account_id)

    def look_at_keys(self) -> None:
        """Ask what every account's key may do now."""
        for account_id in self._at_work:
            self._keys.look_at(account_id)


async def _tolerant(work: Callable[[], Awaitable[None]]) -> None:
    try:
        await work()
    except (CommandRefused, ExchangeError, LeaseLost, NotFound, StoreUnavailable) as error:
        log.warning("chore.failed", error=str(error))
