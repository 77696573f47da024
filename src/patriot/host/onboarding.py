"""Sets up the demo: an operator, clients with linked accounts, strategies, consents and fee terms."""

from contextlib import suppress
from decimal import Decimal
from uuid import UUID

import msgspec

from patriot.accounts.linking import AccountLinking, LinkWish
from patriot.accounts.ports import ApiKey, KeyVault
from patriot.adapters.simulator.control import SimAccount, SimControl
from patriot.billing.commands import AgreeTerms
from patriot.billing.period import period_of
from patriot.host.folder_database import linked_accounts
from patriot.host.paper_clients import FEE_RATE, DemoPlan, PlannedClient, PlannedStrategy
from patriot.kernel.errors import CommandRefused, NotFound, StartupError
from patriot.kernel.eventstore import Actor, ActorType, Context
from patriot.kernel.ids import derived_id
from patriot.services.ports import Ports
from patriot.strategies.commands import AssignStrategy, CreateStrategy
from patriot.trading.steps import Step
from patriot.trading.terms import AccountId, Environment, Exchange, UserId
from patriot.users.commands import RegisterUser
from patriot.users.events import RiskProfile, Role

MAX_LEVERAGE = Decimal(5)
TRADE_ONLY = ("read", "trade")
TOO_MUCH = ("read", "trade", "withdraw")


class LinkedClient(msgspec.Struct, frozen=True):
    """A client of the plan with the account that was linked for it, here and on the exchange."""

    number: int
    user_id: UUID
    account_id: UUID
    uid: int


class _Onboarding:
    """One operator setting everything up, at the venue's time."""

    def __init__(self, ports: Ports, vault: KeyVault, control: SimControl, linked: frozenset[AccountId]) -> None:
        self._ports = ports
        self._vault = vault
        self._control = control
        self._linked = linked
        self._uids: dict[str, int] = {}  # by API key, of accounts that an earlier try opened
        self._operator = Actor(ActorType.ADMIN, "operator")
        venue = ports.venue(Exchange.BINANCE)
        self._linking = AccountLinking(
            ports.bus, ports.store, vault, venue.probe, lambda key: venue.session(key).account, ports.clock
        )

    def _context(self, about: object, user_id: UserId | None = None) -> Context:
        return Context(derived_id("onboarding", about), user_id=user_id, actor=self._operator)

    async def register(self, user_id: UserId, role: Role) -> None:
        command = RegisterUser(user_id, role, RiskProfile.MEDIUM, self._ports.clock.now())
        await self._ports.bus.dispatch(command, self._context(user_id, user_id))

    async def create_strategy(self, strategy: PlannedStrategy) -> None:
        command = CreateStrategy(
            strategy_id=strategy.strategy_id,
            name=strategy.name,
            kind=strategy.kind,
            exchange=Exchange.BINANCE,
            symbol=strategy.symbol,
            interval=strategy.interval,
            parameters=strategy.parameters,
            risk_per_trade_fraction=strategy.risk_per_trade_fraction,
            max_leverage=MAX_LEVERAGE,
            fee_rate=FEE_RATE,
            at=self._ports.clock.now(),
        )
        await self._ports.bus.dispatch(command, self._context(strategy.strategy_id))

    async def link(self, client: PlannedClient) -> LinkedClient:
        """Link a client's account, once; a key with too many rights is offered first by some, and must be refused."""
        await self.register(client.user_id, Role.USER)
        account_id = _account_of(client)
        account = await self._kept(account_id)
        if account is None:
            await self._offer_too_much(client)
            account = await self._control.open_account(client.balance, TRADE_ONLY)
        if account_id not in self._linked:
            await self._link(client, account_id, account)
        return LinkedClient(client.number, client.user_id, account_id, account.uid)

    async def _kept(self, account_id: AccountId) -> SimAccount | None:
        """Return the account whose key was sealed by a try that was broken off: another one must not take its place."""
        try:
            key = await self._vault.open(account_id)
        except NotFound:
            return None
        if not self._uids:
            shown = (await self._control.state())["keys"]
            self._uids = {one["api_key"]: int(uid) for uid, keys in shown.items() for one in keys}
        if key.api_key not in self._uids:
            raise StartupError(f"account {account_id}: the simulated exchange does not know its key: begin anew")
        return SimAccount(self._uids[key.api_key], key.api_key, key.api_secret)

    async def _offer_too_much(self, client: PlannedClient) -> None:
        if client.offers_withdraw_key:
            offered = await self._control.open_account(client.balance, TOO_MUCH)
            with suppress(CommandRefused):
                await self._link(client, AccountId(derived_id("demo-refused", client.user_id)), offered)
                raise AssertionError("a key with withdraw right was taken")

    async def _link(self, client: PlannedClient, account_id: AccountId, account: SimAccount) -> None:
        wish = LinkWish(account_id, client.user_id, Exchange.BINANCE, Environment.SIM, "USDT", 0)
        key = ApiKey(account.api_key, account.api_secret)
        await self._linking.link(wish, key, self._context(account_id, client.user_id))
        self._ports.reached(Step.ACCOUNT_LINKED)

    async def subscribe(self, client: PlannedClient, account_id: AccountId) -> None:
        """Agree on the fee, and follow the planned strategies with the client's consent."""
        now = self._ports.clock.now()
        context = self._context(account_id, client.user_id)
        await self._ports.bus.dispatch(AgreeTerms(account_id, client.user_id, FEE_RATE, period_of(now), now), context)
        for strategy_id, fraction in client.allocations:
            command = AssignStrategy(
                strategy_id=strategy_id,
                assignment_id=derived_id("demo-assignment", strategy_id, account_id),
                user_id=client.user_id,
                account_id=account_id,
                allocation_fraction=fraction,
                risk_multiplier=Decimal(1),
                consented_at=now,
                at=now,
            )
            await self._ports.bus.dispatch(command, context)


def _account_of(client: PlannedClient) -> AccountId:
    return AccountId(derived_id("demo-account", client.user_id))


async def onboard(plan: DemoPlan, ports: Ports, vault: KeyVault, control: SimControl) -> list[LinkedClient]:
    """Set the plan up and return its clients as they were linked, in the order of the plan.

    Goes on where an earlier try was broken off: whoever is linked already, or has a sealed key, keeps account and key.
    """
    linked = frozenset([one.account_id async for one in linked_accounts(ports.feed)])
    work = _Onboarding(ports, vault, control, linked)
    await work.register(UserId(derived_id("demo-operator")), Role.ADMIN)
    for strategy in plan.strategies:
        await work.create_strategy(strategy)
    clients = []
    for client in plan.clients:
        clients.append(await work.link(client))
        await work.subscribe(client, _account_of(client))
    return clients
