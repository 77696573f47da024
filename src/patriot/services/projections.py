"""Every read model of the platform, by the service that keeps it."""

from patriot.accounts.projections import Accounts
from patriot.billing.projections import InvoicesProjection
from patriot.kernel.projection import Projection
from patriot.orders.projections import OrdersProjection
from patriot.portfolio.projections import ClosedPositionsProjection, EquityProjection, LedgerProjection
from patriot.strategies.projections import StrategiesProjection
from patriot.users.projections import Users

BY_SERVICE: dict[str, tuple[Projection, ...]] = {
    "identity": (Users(),),
    "accounts": (Accounts(),),
    "orders": (OrdersProjection(),),
    "strategies": (StrategiesProjection(),),
    "portfolio": (LedgerProjection(), EquityProjection(), ClosedPositionsProjection(), InvoicesProjection()),
}
PROJECTIONS: tuple[Projection, ...] = tuple(one for service in BY_SERVICE.values() for one in service)
