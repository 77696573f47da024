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
from patriot.host.paper_clients import FEE_RATE, DemoPlan, PlannedClient, PlannedStrategy
from patriot.kernel.errors import CommandRefused
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

    def __init__(self, ports: Ports, vault: KeyVault, control: SimControl) -> None:
        self._ports = ports
        self._control = control
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
        """Link a client's account; a key with too many rights is offered first by some, and must be refused."""
        await self.register(client.user_id, Role.USER)
        if client.offers_withdraw_key:
            offered = await self._control.open_account(client.balance, TOO_MUCH)
            with suppress(CommandRefused):
                await self._link(client, AccountId(derived_id("demo-refused", client.user_id)), offered)
                raise AssertionError("a key with withdraw right was taken")
        account = await self._control.open_account(client.balance, TRADE_ONLY)
        account_id = AccountId(derived_id("demo-account", client.user_id))
        await self._link(client, account_id, account)
        return LinkedClient(client.number, client.user_id, account_id, account.uid)

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


async def onboard(plan: DemoPlan, ports: Ports, vault: KeyVault, control: SimControl) -> list[LinkedClient]:
    """Set the plan up and return its clients as they were linked, in the order of the plan."""
    work = _Onboarding(ports, vault, control)
    await work.register(UserId(derived_id("demo-operator")), Role.ADMIN)
    for strategy in plan.strategies:
        await work.create_strategy(strategy)
    linked = []
    for client in plan.clients:
        linked.append(await work.link(client))
        await work.subscribe(client, AccountId(linked[-1].account_id))
    return linked
