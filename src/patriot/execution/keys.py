"""What the key of each account may do: asked until the exchange answers, told to a person once.

An account enters nothing before the first answer since its work began. The way out waits for none.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Protocol

import structlog

from patriot.execution.ports import Alerts
from patriot.kernel.clock import Clock
from patriot.kernel.errors import CommandRefused, ExchangeError, LeaseLost, NotFound, StoreUnavailable
from patriot.kernel.patience import patiently
from patriot.kernel.tasks import Background
from patriot.trading.terms import AccountId

log = structlog.get_logger()
ASK_AGAIN_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0)
REFUSALS_HEARD_SECONDS = 30.0  # the way out is tried every few seconds, and each refusal speaks of the key

Look = Callable[[AccountId], Awaitable[str | None]]  # what is wrong with a key, None for a good one


class KeyState:
    """What is known of one account's key since work for it began."""

    def __init__(self) -> None:
        self.problem: str | None = None
        self._known = asyncio.Event()

    @property
    def is_known(self) -> bool:
        """Tell whether the exchange has answered."""
        return self._known.is_set()

    def take(self, problem: str | None) -> None:
        """Take an answer: what is wrong with the key, None for a good one."""
        self.problem = problem
        self._known.set()

    async def known(self, within_seconds: float | None = None) -> bool:
        """Wait for the first answer, or for so long; tell whether it came."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_seconds):
                await self._known.wait()
        return self.is_known


class WithKey(Protocol):
    """An account at work, which has a key."""

    key: KeyState


class KeyWatch:
    """Looks at the keys of the accounts at work. `look` records the answer; errors: NotFound, ExchangeError."""

    def __init__(
        self, look: Look, workers: Mapping[AccountId, WithKey], clock: Clock, alerts: Alerts, tasks: Background
    ) -> None:
        self._look = look
        self._workers = workers
        self._clock = clock
        self._alerts = alerts
        self._tasks = tasks
        self._looking: set[AccountId] = set()
        self._told: dict[AccountId, str] = {}  # what a person was told of a key
        self._heard_refusal: dict[AccountId, float] = {}
        self._refused_again: set[AccountId] = set()

    def look_at(self, account_id: AccountId) -> None:
        """Ask what a key may do, again and again until it is answered."""
        if account_id not in self._looking:
            self._looking.add(account_id)
            self._tasks.start(self._ask(account_id))

    def refused(self, account_id: AccountId) -> None:
        """Look at once at a key that a refusal of the exchange may be about; at the next ones some time later, once."""
        now, never = self._clock.monotonic(), -REFUSALS_HEARD_SECONDS
        since = now - self._heard_refusal.get(account_id, never)
        if since >= REFUSALS_HEARD_SECONDS:
            self._heard_refusal[account_id] = now
            self.look_at(account_id)
        elif account_id not in self._refused_again:
            self._refused_again.add(account_id)
            self._tasks.start(self._look_later(account_id, REFUSALS_HEARD_SECONDS - since))

    async def _look_later(self, account_id: AccountId, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._refused_again.discard(account_id)
        if account_id in self._workers:
            self.refused(account_id)

    def forget(self, account_id: AccountId) -> None:
        """Drop what was told of the key of an account that was unlinked."""
        self._told.pop(account_id, None)
        self._heard_refusal.pop(account_id, None)

    async def _ask(self, account_id: AccountId) -> None:
        try:
            ask = partial(self._answer_of, account_id)
            problem = await patiently(ask, pauses=ASK_AGAIN_SECONDS, errors=(ExchangeError, StoreUnavailable))
        except (CommandRefused, LeaseLost, NotFound) as ended:
            log.warning("account.key_not_looked_at", account_id=str(account_id), error=str(ended))
            return
        finally:
            self._looking.discard(account_id)
        if account_id in self._workers:
            self._workers[account_id].key.take(problem)
        if problem is None:
            self._told.pop(account_id, None)
        elif self._told.get(account_id) != problem:
            self._told[account_id] = problem
            self._alerts.critical("account.key_unfit", account_id=account_id, reason=problem)

    async def _answer_of(self, account_id: AccountId) -> str | None:
        try:
            return await self._look(account_id)
        except (ExchangeError, StoreUnavailable) as error:
            log.warning("account.key_look_failed", account_id=str(account_id), error=str(error))
            raise
