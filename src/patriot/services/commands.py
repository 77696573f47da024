"""The bus with every command of the platform on it."""

from collections.abc import Callable

from patriot.accounts import streams as accounts
from patriot.audit import streams as audit
from patriot.billing import streams as billing
from patriot.execution import streams as execution
from patriot.kernel.bus import CommandBus
from patriot.kernel.clock import Clock
from patriot.kernel.eventstore import EventStore
from patriot.kernel.ids import Ids
from patriot.orders import streams as orders
from patriot.risk import streams as risk
from patriot.risk.decider import RISK
from patriot.strategies import streams as strategies
from patriot.users import streams as users


def full_bus(store: EventStore, clock: Clock, ids: Ids) -> CommandBus:
    """Return a bus that knows every command of the platform."""
    bus = CommandBus(store, clock, ids)
    register: tuple[Callable[[CommandBus], None], ...] = (
        users.register,
        accounts.register,
        strategies.register,
        risk.register,
        billing.register,
        audit.register,
    )
    for domain in register:
        domain(bus)
    orders.register(bus, RISK)
    execution.register(bus, RISK)
    return bus
