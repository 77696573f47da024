"""What execution needs from orders, risk and the account's session, without knowing how they do it."""

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from patriot.accounts.events import SampleReason
from patriot.kernel.errors import ExchangeRefused
from patriot.kernel.eventstore import Actor
from patriot.kernel.tasks import Background
from patriot.orders.events import CancelReason, OrderCreated, OrderEvent
from patriot.risk.commands import AccountRisk, EffectiveLimits
from patriot.risk.events import HaltLevel
from patriot.trading.reports import (
    AccountSettings,
    AccountSnapshot,
    OrderReport,
    PrivateReport,
    SymbolSettings,
    TradeReport,
)
from patriot.trading.terms import AccountId, Leg, OrderId, StrategyId, Urgency, UserId


class Desk(Protocol):
    """The way of one account's orders to its exchange (`orders/desk.py`)."""

    tasks: Background
    on_answered: Callable[[str], None]  # told the client id of each order that the exchange has answered for
    on_refused: Callable[[OrderCreated, ExchangeRefused], None]  # told of each refused placement or cancel
    on_cancel_refused: Callable[[OrderCreated, ExchangeRefused], None]  # told where the order works all the same
    on_read: Callable[[str, ExchangeRefused | None], None]  # told what was asked of a symbol, and how it was refused

    @property
    def strays(self) -> list[str]:
        """Return client ids of ours that no open bracket explains."""
        ...

    def bracket_of(self, client_id: str) -> OrderId:
        """Return the bracket that a client id of ours names, known here or not."""
        ...

    @property
    def foreign(self) -> set[str]:
        """Return client ids of resting orders that are not ours."""
        ...

    @property
    def contested(self) -> set[str]:
        """Return client ids of orders that the exchange does not know although its books speak for them."""
        ...

    def adopt(self, events: Iterable[OrderEvent]) -> None:
        """Take over durable events of open brackets."""
        ...

    def forget(self, group_id: OrderId) -> None:
        """Drop a bracket that is over."""
        ...

    async def submit(self, created: OrderCreated) -> None:
        """Send an approved entry."""
        ...

    async def resume(self, created: OrderCreated) -> None:
        """Send an approved entry of an earlier life, once the account is set for it."""
        ...

    async def open_leg(self, entry: OrderCreated, leg: Leg, sequence: int, quantity: Decimal) -> float | None:
        """Send an order that reduces the bracket's position.

        Return None if it went out; else after how many seconds the next one may, 0 where the exchange does not say.
        """
        ...

    async def cancel(self, created: OrderCreated, reason: CancelReason) -> None:
        """Cancel a resting order."""
        ...

    def on_order(self, report: OrderReport) -> None:
        """Take the state of an order."""
        ...

    def on_trade(self, trade: TradeReport) -> None:
        """Take one execution."""
        ...

    async def check_resting(self, urgency: Urgency) -> None:
        """Ask the exchange whether what we believe to rest does."""
        ...

    async def recover(self, *, takeover: bool) -> None:
        """Learn of open brackets what protection needs."""
        ...

    def count_on_nothing(self) -> None:
        """Take what was being sent in an earlier life for unknown: the exchange does not say in time."""
        ...

    async def catch_up(self, *, search: bool) -> None:
        """Fetch the executions of open brackets, and find lost orders of theirs."""
        ...

    def inherit_no_more(self) -> None:
        """Take it that nothing of an earlier owner comes any more: what is refused now is refused to us."""
        ...

    def doubt(self, symbol: str) -> None:
        """Have lost legs of a symbol found before the next leg of its brackets goes out."""
        ...

    async def find_lost_legs(self, symbol: str) -> bool:
        """Find a predecessor's legs on a symbol, unless that was done; return whether it was done now."""
        ...

    async def search(self, symbol: str, urgency: Urgency = Urgency.PROTECTION, *, strays: bool = False) -> bool:
        """Find lost orders of ours on a symbol; with `strays` also of brackets that are not known here.

        Return whether the exchange told them; it may refuse to.
        """
        ...


class SettingsVenue(Protocol):
    """The settings of one account on its exchange."""

    async def account_settings(self, *, urgency: Urgency = Urgency.NORMAL) -> AccountSettings:
        """Return the modes of the account."""
        ...

    async def symbol_settings(self, symbol: str, *, urgency: Urgency = Urgency.NORMAL) -> SymbolSettings:
        """Return leverage and margin type of a symbol."""
        ...

    async def prepare_symbol(self, symbol: str, leverage: int) -> None:
        """Set leverage and isolated margin for a symbol; already so is success."""
        ...


class Session(SettingsVenue, Protocol):
    """The account's private side of the exchange."""

    async def snapshot(self, *, urgency: Urgency = Urgency.NORMAL) -> AccountSnapshot:
        """Return balances and positions of this moment."""
        ...

    def reports(self) -> AsyncIterator[PrivateReport]:
        """Yield private reports for ever."""
        ...

    def reopen_stream(self, reason: str) -> None:
        """Open the private stream again; StreamResumed follows."""
        ...


@dataclass(frozen=True, slots=True)
class LoggedBracket:
    """A bracket as the log has it."""

    group_id: OrderId
    events: list[OrderEvent]
    close_requested: bool
    closed_elsewhere: Decimal
    closed: bool  # once: if it is at work, it lived again after that


class CommandWriter(Protocol):
    """The account's one writer (`orders/journal.py`)."""

    pending: int

    def put(self, command: object, actor: Actor) -> None:
        """Write a command soon, after all put before; the actor decided it, or told of it."""
        ...

    async def written(self, command: object, actor: Actor) -> None:
        """Write a command after all put before, and return when it is durable."""
        ...

    async def run(self) -> None:
        """Write for ever."""
        ...


class RiskFacts(Protocol):
    """What risk knows when an entry is decided."""

    def limits_for(self, user_id: UserId, account_id: AccountId, strategy_id: StrategyId) -> EffectiveLimits:
        """Return the strictest limits of all scopes."""
        ...

    def halt_for(self, user_id: UserId, account_id: AccountId, strategy_id: StrategyId) -> HaltLevel | None:
        """Return the strongest halt of all scopes."""
        ...

    def risk_of(self, account_id: AccountId, equity: Decimal) -> AccountRisk | None:
        """Return what losses are measured against, or None while that is not known."""
        ...


class Alerts(Protocol):
    """Where a person is called."""

    def critical(self, name: str, **fields: object) -> None:
        """Raise an alert that someone must act on."""
        ...


class Ledger(Protocol):
    """The account's money records (`accounts/effects.py`)."""

    @property
    def opened(self) -> bool:
        """Tell whether the books are known to be open; nothing is entered before they are."""
        ...

    def is_due(self, now: float) -> bool:
        """Return whether it is time to read income again by itself: once for each time that it is due."""
        ...

    async def sync_income(self, *, urgency: Urgency = Urgency.BACKGROUND) -> None:
        """Record transfers and funding that are new."""
        ...

    async def sample_equity(self, reason: SampleReason) -> AccountSnapshot | None:
        """Record what the account is worth now."""
        ...
