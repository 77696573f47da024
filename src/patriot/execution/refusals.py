"""What the exchange refuses of the way out: told to a person once, named while it stands, tried on meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from patriot.execution.effects import BracketKeeper
from patriot.execution.ports import Alerts, Desk
from patriot.kernel.errors import ExchangeRefused
from patriot.orders.events import OrderCreated
from patriot.trading.terms import AccountId, Leg, OrderId

LOOK_SECONDS = 10.0  # for what is held to be read before a person is told


class LookAgain(Protocol):
    """Compares what is held with the exchange."""

    def __call__(self, *, exit_refused: OrderId | None) -> Awaitable[None]:
        """Look; `exit_refused`: the bracket of which the exchange says that there is nothing to reduce."""
        ...


class Refusals:
    """Refused closes and cancels of one account's open brackets."""

    def __init__(
        self, account_id: AccountId, desk: Desk, keeper: BracketKeeper, alerts: Alerts, look_again: LookAgain
    ) -> None:
        self.on_key_refused: Callable[[], None] = _nobody_listens
        self._account_id = account_id
        self._keeper = keeper
        self._alerts = alerts
        self._look_again = look_again
        self._exits: dict[OrderId, ExchangeRefused] = {}  # the newest refusal of a bracket's way out
        self._told: dict[tuple[OrderId, str], tuple[int, str]] = {}  # by bracket and alert: the code, and in words
        desk.on_refused = self._note
        desk.on_cancel_refused = self._tell_of_cancel
        keeper.on_exit_refused = self._look_into_exit

    @property
    def words(self) -> list[str]:
        """Return what the exchange refuses just now."""
        self._forget_ended()
        return [words for _, words in self._told.values()]

    def _note(self, created: OrderCreated, refusal: ExchangeRefused) -> None:
        if refusal.about_key:
            self.on_key_refused()
        if created.leg in (Leg.CLOSE, Leg.EMERGENCY):
            self._exits[created.group_id] = refusal

    async def _look_into_exit(self, group_id: OrderId) -> None:
        """Have the position looked at: a refusal is no news where a stop was faster, or somebody else closed it.

        An account that cannot be read keeps it from a person for a moment only.
        """
        refusal = self._exits.get(group_id)
        nothing_held = refusal is not None and refusal.nothing_to_reduce
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(self._tell_of_exit_later(group_id))
            await self._look_again(exit_refused=group_id if nothing_held else None)
            waiting.cancel()
        self._tell_of_exit(group_id)

    async def _tell_of_exit_later(self, group_id: OrderId) -> None:
        await asyncio.sleep(LOOK_SECONDS)
        self._tell_of_exit(group_id)

    def _tell_of_exit(self, group_id: OrderId) -> None:
        bracket, refusal = self._keeper.open_brackets.get(group_id), self._exits.get(group_id)
        if refusal is not None and bracket is not None and bracket.entry is not None and bracket.position > 0:
            self._tell(group_id, bracket.entry.symbol, refusal, cancel=False)

    def _tell_of_cancel(self, created: OrderCreated, refusal: ExchangeRefused) -> None:
        self._tell(created.group_id, created.symbol, refusal, cancel=True)

    def _tell(self, group_id: OrderId, symbol: str, refusal: ExchangeRefused, *, cancel: bool) -> None:
        self._forget_ended()
        name, what = ("order.cancel_refused", "a cancel") if cancel else ("position.exit_refused", "its close")
        before = self._told.get((group_id, name))
        if before is None or before[0] != refusal.code:
            self._told[group_id, name] = refusal.code, f"the exchange refuses {what} in {symbol}: {refusal}"
            self._alerts.critical(
                name, account_id=self._account_id, symbol=symbol, group_id=group_id, reason=str(refusal)
            )

    def _forget_ended(self) -> None:
        still_open = self._keeper.open_brackets
        self._exits = {group_id: refusal for group_id, refusal in self._exits.items() if group_id in still_open}
        self._told = {key: told for key, told in self._told.items() if key[0] in still_open}


def _nobody_listens() -> None:
    """Do nothing."""
