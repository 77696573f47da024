"""Sets up the demo: an operator, clients with linked accounts, strategies, consents and fee terms."""

from decimal import Decimal

import msgspec

from patriot.accounts.effects import AccountLinking
from patriot.accounts.ports import ApiKey, KeyVault
from patriot.billing.commands import AgreeTerms
from patriot.billing.period import period_of
from patriot.kernel.errors import CommandRefused
from patriot.kernel.eventstore import Actor, ActorType, Context
from patriot.kernel.ids import derived_id
from patriot.kernel.trading import AccountId, Exchange
from patriot.services.demo_plan import FEE_RATE, SYMBOL, DemoPlan, PlannedClient
from patriot.services.parts import Parts
from patriot.services.replay import SimControl
from patriot.strategies.commands import AssignStrategy, CreateStrategy
from patriot.users.commands import RegisterUser

OPERATOR = Actor(ActorType.ADMIN, "operator")
