"""Link an exchange account: ask the exchange about the key, seal it, record the link, in this order.

A crash leaves at most a sealed key without an account, never an account without its key.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from patriot.accounts.commands import LinkAccount, RecordPermissions, ResumeAccount, UnlinkAccount
from patriot.accounts.credentials import REASONS, problem_of
from patriot.accounts.decider import ACCOUNT, Account
from patriot.accounts.events import (
    AccountStatus,
    CredentialProblem,
    CredentialsRejected,
    PositionMode,
    account_stream,
    venue_account_id,
    venue_account_stream,
)
from patriot.accounts.ports import AccountVenue, ApiKey, KeyProbe, KeyVault
from patriot.accounts.venue_accounts import VENUE_ACCOUNT
from patriot.kernel.bus import CommandBus, decode_all
from patriot.kernel.clock import Clock
from patriot.kernel.errors import CommandRefused, ExchangeRefused, InvalidInput
from patriot.kernel.eventstore import Context, EventStore
from patriot.trading.reports import KeyPermissions
from patriot.trading.terms import AccountId, Environment, Exchange, Urgency, UserId

FIRST_VERSION = 1
KEY_LENGTHS = range(10, 201)  # spec: components 1.1


@dataclass(frozen=True, slots=True)
class LinkWish:
    """Whose account is to be linked; `account_id` is for one that this user never linked.

    `accounts_of_user` counts those that are linked now.
    """

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
        store: EventStore,
        vault: KeyVault,
        probe: KeyProbe,
        connect: Callable[[ApiKey], AccountVenue],
        clock: Clock,
    ) -> None:
        self._bus = bus
        self._store = store
        self._vault = vault
        self._probe = probe
        self._connect = connect
        self._clock = clock

    async def link(self, wish: LinkWish, key: ApiKey, context: Context) -> AccountId:
        """Link an account, or record why not; return which it is: the same one as before if its user comes back.

        Errors: CommandRefused with the reason; InvalidInput; ExchangeUnavailable (nothing was changed: try again).
        """
        _check_length("api_key", key.api_key)
        _check_length("api_secret", key.api_secret)
        command = LinkAccount(
            account_id=wish.account_id,
            user_id=wish.user_id,
            exchange=wish.exchange,
            environment=wish.environment,
            permissions=await self._permissions(key),
            position_mode=PositionMode.ONE_WAY,
            quote_asset=wish.quote_asset,
            credential_version=FIRST_VERSION,
            accounts_of_user=wish.accounts_of_user,
            at=self._clock.now(),
        )
        if problem_of(command.permissions) is None:
            command = await self._identified(command, key)
        decided = await self._bus.dispatch(command, replace(context, account_id=command.account_id))
        for event in decided.events:
            if isinstance(event, CredentialsRejected):
                raise CommandRefused(f"{event.reason_code}: {REASONS[event.reason_code]}")
        return command.account_id

    async def _identified(self, command: LinkAccount, key: ApiKey) -> LinkAccount:
        """Return the command for the account that the key is of, as its user may have linked it before; seal the key.

        A key that will be refused, since somebody else holds the account, is not kept.
        """
        venue = self._connect(key)
        if (await venue.account_settings()).hedge_mode:
            command = replace(command, position_mode=PositionMode.HEDGE)
        venue_id = venue_account_id(command.exchange, command.environment, await venue.identity())
        held = VENUE_ACCOUNT.fold(decode_all(await self._store.read_stream(venue_account_stream(venue_id))))
        account_id = held.account_of.get(command.user_id, command.account_id)
        command = replace(command, account_id=account_id, venue_account_id=venue_id, at=self._clock.now())
        if held.holder not in (None, account_id):
            return command
        known = await self._known(account_id)
        if known.status in (None, AccountStatus.UNLINKED):
            return replace(command, credential_version=await self._keep(account_id, known.credential_version + 1, key))
        await self._vault.store(account_id, known.credential_version, key)
        return replace(command, credential_version=known.credential_version)

    async def _keep(self, account_id: AccountId, version: int, key: ApiKey) -> int:
        """Seal the key under the first version that is free: another may be left of a try that was not recorded."""
        while True:
            try:
                await self._vault.store(account_id, version, key)
            except CommandRefused:
                version += 1
            else:
                return version

    async def _known(self, account_id: AccountId) -> Account:
        return ACCOUNT.fold(decode_all(await self._store.read_stream(account_stream(account_id))))

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
        linked = (await self._known(account_id)).linked
        held = None if linked is None else linked.venue_account_id
        command = UnlinkAccount(account_id, open_positions, open_orders, reason_code, self._clock.now(), held)
        await self._bus.dispatch(command, context)
        await self._vault.destroy(account_id)

    async def _permissions(self, key: ApiKey, urgency: Urgency = Urgency.NORMAL) -> KeyPermissions | None:
        try:
            return await self._probe.permissions(key, urgency=urgency)
        except ExchangeRefused:
            return None


def _check_length(field: str, text: str) -> None:
    if len(text) not in KEY_LENGTHS:
        raise InvalidInput(field, f"expected {KEY_LENGTHS[0]} to {KEY_LENGTHS[-1]} characters, found {len(text)}")
