"""What linking, reading and reconciling an account needs: its exchange session, and the vault of its key."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from patriot.trading.reports import (
    AccountSettings,
    AccountSnapshot,
    IncomeRecord,
    KeyPermissions,
    OrderSender,
    PrivateReport,
    SymbolSettings,
    TradeReport,
)
from patriot.trading.terms import AccountId, Urgency


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A client's exchange key in the clear: only in the process that signs, never shown, logged, or pickled."""

    api_key: str = field(repr=False)
    api_secret: str = field(repr=False)

    def __reduce__(self) -> str:
        raise TypeError("an ApiKey does not leave its process")


class KeyProbe(Protocol):
    """Asks an exchange what a key may do, before it is kept."""

    async def permissions(self, key: ApiKey, *, urgency: Urgency = Urgency.NORMAL) -> KeyPermissions:
        """Return the rights of a key. Errors: ExchangeRefused if the exchange does not know it."""
        ...


class AccountVenue(Protocol):
    """One account's balances, settings and private stream on its exchange. Reads wait by their `urgency`."""

    async def snapshot(self, *, urgency: Urgency = Urgency.NORMAL) -> AccountSnapshot:
        """Return balances and positions of this moment."""
        ...

    async def income(self, since: datetime, *, urgency: Urgency = Urgency.NORMAL) -> list[IncomeRecord]:
        """Return the wallet's changes from a time on, ascending, all pages."""
        ...

    async def permissions(self) -> KeyPermissions:
        """Return what the account's key may do now."""
        ...

    async def identity(self) -> str:
        """Return what the exchange calls the account: the same for every key of it, another for every other account."""
        ...

    async def account_settings(self, *, urgency: Urgency = Urgency.NORMAL) -> AccountSettings:
        """Return the modes of the account."""
        ...

    async def symbol_settings(self, symbol: str, *, urgency: Urgency = Urgency.NORMAL) -> SymbolSettings:
        """Return leverage and margin type of a symbol."""
        ...

    async def prepare_symbol(self, symbol: str, leverage: int) -> None:
        """Set leverage and isolated margin for a symbol; already so is success. Never switches an open position."""
        ...

    def reports(self) -> AsyncIterator[PrivateReport]:
        """Yield private reports for ever, reconnecting; StreamResumed comes first and after each gap."""
        ...

    def silent_seconds(self) -> float:
        """Return for how long the private stream has brought nothing, open or not."""
        ...

    def reopen_stream(self, reason: str) -> None:
        """Open the private stream again with a new key, since it did not bring what happened; StreamResumed follows."""
        ...


class TradeVenue(Protocol):
    """What was executed on one account, whoever sent the orders. Errors of every call: ExchangeError."""

    async def trades(self, symbol: str, since: datetime, *, urgency: Urgency = Urgency.NORMAL) -> list[TradeReport]:
        """Return executions from a time on, ascending, all pages."""
        ...

    async def sender_of(
        self, symbol: str, venue_order_id: str, *, urgency: Urgency = Urgency.NORMAL
    ) -> OrderSender | None:
        """Return who sent an order, None if the exchange does not know it (any more)."""
        ...

    async def fired_orders(self, symbol: str, *, urgency: Urgency = Urgency.NORMAL) -> dict[str, str]:
        """Return the client ids of conditional orders that fired, by the venue's id of the orders that they became."""
        ...


class Worth(Protocol):
    """What an amount of one asset was worth in another."""

    async def __call__(self, amount: Decimal, asset: str, in_asset: str, at: datetime) -> Decimal:
        """Return the worth at a moment, exact. Errors: ExchangeError if no price can be had."""
        ...


class KeyVault(Protocol):
    """Where sealed keys rest. One vault holds one key per account and version, and never replaces it."""

    async def store(self, account_id: AccountId, version: int, key: ApiKey) -> None:
        """Seal and keep a key; the same one again is no change. Errors: CommandRefused if another one is kept there."""
        ...

    async def open(self, account_id: AccountId) -> ApiKey:
        """Unseal the newest key of an account. Errors: NotFound."""
        ...

    async def destroy(self, account_id: AccountId) -> None:
        """Forget every key of an account."""
        ...
