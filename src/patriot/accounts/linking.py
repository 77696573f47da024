"""Link an exchange account: ask the exchange about the key, seal it, record the link, in this order.

A crash leaves at most a sealed key without an account, never an account without its key.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from patriot.accounts.commands import LinkAccount, RecordPermissions, ResumeAccount, UnlinkAccount
from patriot.accounts.credentials import REASONS, problem_of
from patriot.accounts.events import CredentialProblem, CredentialsRejected, PositionMode
from patriot.accounts.ports import AccountVenue, ApiKey, KeyProbe, KeyVault
from patriot.kernel.bus import CommandBus
from patriot.kernel.clock import Clock
from patriot.kernel.errors import CommandRefused, ExchangeRefused, InvalidInput
from patriot.kernel.eventstore import Context
from patriot.trading.reports import KeyPermissions
from patriot.trading.terms import AccountId, Environment, Exchange, Urgency, UserId

FIRST_VERSION = 1
KEY_LENGTHS = range(10, 201)  # spec: components 1.1


@dataclass(frozen=True, slots=True)
class LinkWish:
    """Whose account is to be linked; `accounts_of_user` counts those linked before."""

    account_id: AccountId
    user_id: UserId
    exchange: Exchange
    environment: Environment
    quote_asset: str
    accounts_of_user: int


class AccountLinking:
    """Link, check and unlink accounts. Runs in the process that holds the vault's master key."""

    def __init__(
        self,
        bus: CommandBus,
        vault: KeyVault,
        probe: KeyProbe,
        connect: Callable[[ApiKey], AccountVenue],
        clock: Clock,
    ) -> None:
        self._bus = bus
        self._vault = vault
        self._probe = probe
        self._connect = connect
        self._clock = clock

    async def link(self, wish: LinkWish, key: ApiKey, context: Context) -> None:
        """Link an account, or record why not.

        Errors: CommandRefused with the reason; InvalidInput; ExchangeUnavailable (nothing was changed: try again).
        """
        _check_length("api_key", key.api_key)
        _check_length("api_secret", key.api_secret)
        permissions = await self._permissions(key)
        problem, mode = problem_of(permissions), PositionMode.ONE_WAY
        if problem is None:
            if (await self._connect(key).account_settings()).hedge_mode:
                mode = PositionMode.HEDGE
            await self._vault.store(wish.account_id, FIRST_VERSION, key)
        decided = await self._bus.dispatch(self._command(wish, permissions, mode, self._clock.now()), context)
        for event in decided.events:
            if isinstance(event, CredentialsRejected):
                raise CommandRefused(f"{event.reason_code}: {REASONS[event.reason_code]}")

    async def check_key(self, account_id: AccountId, context: Context) -> CredentialProblem | None:
        """Ask what the account's key may do now; suspend the account if it may too much or too little.

        Returns what is wrong with the key. Nobody waits for the answer. Errors: NotFound; ExchangeUnavailable.
        """
        permissions = await self._permissions(await self._vault.open(account_id), Urgency.BACKGROUND)
        await self._bus.dispatch(RecordPermissions(account_id, permissions, self._clock.now()), context)
        return problem_of(permissions)

    async def resume(self, account_id: AccountId, reason_code: str, context: Context) -> None:
        """Let an account trade again, if its key is still good. Errors: CommandRefused; ExchangeUnavailable."""
        permissions = await self._permissions(await self._vault.open(account_id))
        await self._bus.dispatch(ResumeAccount(account_id, permissions, reason_code, self._clock.now()), context)

    async def unlink(
        self, account_id: AccountId, *, open_positions: int, open_orders: int, reason_code: str, context: Context
    ) -> None:
        """Record the end of a link and forget the key. Errors: CommandRefused while anything is open."""
        command = UnlinkAccount(account_id, open_positions, open_orders, reason_code, self._clock.now())
        await self._bus.dispatch(command, context)
        await self._vault.destroy(account_id)

    async def _permissions(self, key: ApiKey, urgency: Urgency = Urgency.NORMAL) -> KeyPermissions | None:
        try:
            return await self._probe.permissions(key, urgency=urgency)
        except ExchangeRefused:
            return None

    def _command(
        self, wish: LinkWish, permissions: KeyPermissions | None, mode: PositionMode, at: datetime
    ) -> LinkAccount:
        return LinkAccount(
            account_id=wish.account_id,
            user_id=wish.user_id,
            exchange=wish.exchange,
            environment=wish.environment,
            permissions=permissions,
            position_mode=mode,
            quote_asset=wish.quote_asset,
            credential_version=FIRST_VERSION,
            accounts_of_user=wish.accounts_of_user,
            at=at,
        )


def _check_length(field: str, text: str) -> None:
    if len(text) not in KEY_LENGTHS:
        raise InvalidInput(field, f"expected {KEY_LENGTHS[0]} to {KEY_LENGTHS[-1]} characters, found {len(text)}")
