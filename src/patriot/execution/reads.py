"""Reads of one account that are asked again until the exchange answers them.

What it refuses is told to a person once and asked again more seldom. It ends nothing: who waits for one read, or for
one symbol's, holds up no other.
"""

import asyncio
from collections.abc import Awaitable, Callable

from patriot.execution.ports import Alerts
from patriot.kernel.errors import ExchangeError, ExchangeRefused, StoreUnavailable
from patriot.kernel.patience import patiently
from patriot.trading.terms import AccountId

RETRY_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0)
REFUSED_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)


class Reads:
    """The patience with one account's reads, and which of them the exchange refuses just now."""

    def __init__(self, account_id: AccountId, alerts: Alerts) -> None:
        self.on_key_refused: Callable[[], None] = _nobody_listens
        self._account_id = account_id
        self._alerts = alerts
        self._refused: dict[str, ExchangeRefused] = {}

    @property
    def words(self) -> list[str]:
        """Return what the exchange refuses to tell just now."""
        return [f"the exchange refuses to tell {what}: {refusal}" for what, refusal in self._refused.items()]

    async def until_read(self, what: str, read: Callable[[], Awaitable[object]]) -> None:
        """Repeat a read until the exchange answers it. `what` names it for a person."""
        tries = 0
        while True:
            try:
                await patiently(
                    read, pauses=RETRY_SECONDS, errors=(ExchangeError, StoreUnavailable), final=(ExchangeRefused,)
                )
            except ExchangeRefused as refusal:
                self.note(what, refusal)
                await asyncio.sleep(REFUSED_SECONDS[min(tries, len(REFUSED_SECONDS) - 1)])
                tries += 1
            else:
                self.note(what, None)
                return

    def note(self, what: str, refusal: ExchangeRefused | None) -> None:
        """Take how a read ended: refused, or None for an answer. A person is told of each new code once."""
        before = self._refused.pop(what, None)
        if refusal is None:
            return
        self._refused[what] = refusal
        if refusal.about_key:
            self.on_key_refused()
        if before is None or before.code != refusal.code:
            self._alerts.critical("account.read_refused", account_id=self._account_id, what=what, reason=str(refusal))


def _nobody_listens() -> None:
    """Do nothing."""
