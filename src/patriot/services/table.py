"""The one table of services: what each is for, where it tells about itself, in which roles, and what it runs.

`patriot serve`, its help, the guide and `all_in_one.py` read it: a service is a line here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from patriot.accounts.ports import KeyVault
from patriot.accounts.projections import Accounts
from patriot.audit.ports import RootShelf
from patriot.billing.projections import InvoicesProjection
from patriot.kernel.projection import Projection
from patriot.orders.patience import DeskPatience
from patriot.orders.projections import OrdersProjection
from patriot.portfolio.projections import ClosedPositionsProjection, EquityProjection, LedgerProjection
from patriot.services.billing import BillingService
from patriot.services.engine import Engine
from patriot.services.execution import ExecutionService
from patriot.services.ledger import LedgerService
from patriot.services.pace import Pace
from patriot.services.ports import Ports, ReadModels
from patriot.services.reconciliation import ReconciliationService
from patriot.services.risk import RiskService
from patriot.services.strategies import StrategiesService
from patriot.strategies.ports import SpawnRunner
from patriot.strategies.projections import StrategiesProjection
from patriot.users.projections import Users


class Role(StrEnum):
    """The side of a service: answering requests, or following the log."""

    API = "api"
    WORKER = "worker"


class Service(StrEnum):
    """The services of the platform; `sim` stands beside them."""

    IDENTITY = "identity"
    ACCOUNTS = "accounts"
    ORDERS = "orders"
    EXECUTION = "execution"
    STRATEGIES = "strategies"
    RISK = "risk"
    PORTFOLIO = "portfolio"
    LEDGER = "ledger"
    SIM = "sim"


@dataclass(frozen=True, slots=True)
class Supplies:
    """What services are built from. Only the one that signs opens the vault."""

    ports: Ports
    read_models: ReadModels
    open_vault: Callable[[], KeyVault]
    shelf: RootShelf
    spawn: SpawnRunner
    pace: Pace
    patience: DeskPatience | None = None  # None: that of production


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """One service. `build` makes its engine; one without keeps read models only."""

    what: str
    port: int
    role: Role = Role.WORKER
    signs: bool = False  # opens the vault
    trades: bool = False  # speaks with the exchange, and waits for it at a start
    needs_accounts: bool = False  # in one process with them, it runs once they are in step or had their time
    read_models: tuple[Projection, ...] = ()
    build: Callable[[Supplies], Engine] | None = None


TABLE: dict[Service, ServiceRow] = {
    Service.IDENTITY: ServiceRow("read model of people and their roles", 8010, read_models=(Users(),)),
    Service.ACCOUNTS: ServiceRow(
        "read model of accounts; money that no event explains",
        8003,
        read_models=(Accounts(),),
        build=lambda given: ReconciliationService(given.ports),
    ),
    Service.ORDERS: ServiceRow("read model of orders and brackets", 8004, read_models=(OrdersProjection(),)),
    Service.EXECUTION: ServiceRow(
        "one worker per account, and signals on their way to them; the only one that unseals keys",
        8012,
        signs=True,
        trades=True,
        build=lambda given: ExecutionService(given.ports, given.open_vault(), given.pace, given.patience),
    ),
    Service.STRATEGIES: ServiceRow(
        "strategies in processes of their own, and their read model",
        8005,
        trades=True,
        needs_accounts=True,
        read_models=(StrategiesProjection(),),
        build=lambda given: StrategiesService(given.ports, given.pace, given.spawn),
    ),
    Service.RISK: ServiceRow(
        "halts that follow from losses and from unexplained money",
        8006,
        build=lambda given: RiskService(given.ports),
    ),
    Service.PORTFOLIO: ServiceRow(
        "read models of money; months closed and billed",
        8014,
        read_models=(LedgerProjection(), EquityProjection(), ClosedPositionsProjection(), InvoicesProjection()),
        build=lambda given: BillingService(given.ports, given.read_models.sql),
    ),
    Service.LEDGER: ServiceRow(
        "roots of the log, published at its start, daily and at its end",
        8011,
        build=lambda given: LedgerService(given.ports, given.shelf),
    ),
    Service.SIM: ServiceRow("the exchange simulator", 9101, role=Role.API),
}
PROJECTIONS: tuple[Projection, ...] = tuple(one for row in TABLE.values() for one in row.read_models)
