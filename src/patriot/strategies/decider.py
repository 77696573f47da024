"""The life of a strategy, with its followers. Pure: time and identifiers arrive inside the command."""

from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from typing import assert_never
from uuid import UUID

from patriot.kernel.aggregate import Decider
from patriot.kernel.errors import CommandRefused, InvalidInput
from patriot.strategies.commands import (
    AssignStrategy,
    ChangeAllocation,
    ConfigureStrategy,
    CreateStrategy,
    PauseStrategy,
    ResumeStrategy,
    StopStrategy,
    StrategyCommand,
    UnassignStrategy,
)
from patriot.strategies.events import (
    AllocationChanged,
    StrategyAssigned,
    StrategyConfigChanged,
    StrategyCreated,
    StrategyEvent,
    StrategyPaused,
    StrategyResumed,
    StrategyStopped,
    StrategyUnassigned,
)
from patriot.strategies.interface import INTERVALS
from patriot.strategies.parameters import complete
from patriot.trading.terms import AccountId, UserId

MIN_NAME_LENGTH = 3
MAX_NAME_LENGTH = 100
MAX_RISK_PER_TRADE_FRACTION = Decimal("0.1")  # a mistyped percent must not bet the account
MAX_LEVERAGE = Decimal(125)  # the highest that any supported venue offers
MAX_RISK_MULTIPLIER = Decimal(10)


class Status(StrEnum):
    NONE = "none"
    ACTIVE = "active"
    PAUSED = "paused"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Follower:
    assignment_id: UUID
    user_id: UserId
    allocation_fraction: Decimal
    risk_multiplier: Decimal


@dataclass(frozen=True, slots=True)
class Strategy:
    status: Status = Status.NONE
    kind: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    risk_per_trade_fraction: Decimal = Decimal(0)
    config_version: int = 1
    created: StrategyCreated | None = None  # to recognise the same creation when it is repeated
    followers: dict[AccountId, Follower] = field(default_factory=dict)


def decide(strategy: Strategy, command: StrategyCommand) -> list[StrategyEvent]:
    """Return what a command does to a strategy. Errors: CommandRefused; InvalidInput naming a field."""
    match command:
        case CreateStrategy():
            return _create(strategy, command)
        case _ if strategy.status is Status.NONE:
            raise CommandRefused(f"{type(command).__name__} on a strategy that does not exist")
        case AssignStrategy() | ChangeAllocation() | UnassignStrategy():
            return _follow(strategy, command)
        case ConfigureStrategy() | PauseStrategy() | ResumeStrategy() | StopStrategy():
            return _operate(strategy, command)
        case _:
            assert_never(command)


def _create(strategy: Strategy, c: CreateStrategy) -> list[StrategyEvent]:
    if not MIN_NAME_LENGTH <= len(c.name.strip()) <= MAX_NAME_LENGTH:
        raise InvalidInput("name", f"expected {MIN_NAME_LENGTH} to {MAX_NAME_LENGTH} characters, found {len(c.name)}")
    if c.interval not in INTERVALS:
        raise InvalidInput("interval", f"expected one of {', '.join(INTERVALS)}, found {c.interval[:10]!r}")
    _check_range("risk_per_trade_fraction", c.risk_per_trade_fraction, MAX_RISK_PER_TRADE_FRACTION)
    _check_range("max_leverage", c.max_leverage, MAX_LEVERAGE)
    if not (c.fee_rate.is_finite() and 0 <= c.fee_rate <= 1):
        raise InvalidInput("fee_rate", f"expected 0 to 1, found {c.fee_rate}")
    created = StrategyCreated(
        strategy_id=c.strategy_id,
        name=c.name.strip(),
        kind=c.kind,
        exchange=c.exchange,
        symbol=c.symbol,
        interval=c.interval,
        parameters=complete(c.kind, c.parameters),
        risk_per_trade_fraction=c.risk_per_trade_fraction,
        max_leverage=c.max_leverage,
        fee_rate=c.fee_rate,
        created_at=c.at,
    )
    if strategy.created is None:
        return [created]
    if strategy.created == replace(created, created_at=strategy.created.created_at):
        return []
    raise CommandRefused(f"strategy {c.strategy_id} exists already and was created otherwise")


def _operate(
    strategy: Strategy, command: ConfigureStrategy | PauseStrategy | ResumeStrategy | StopStrategy
) -> list[StrategyEvent]:
    match command, strategy.status:
        case StopStrategy() as c, Status.ACTIVE | Status.PAUSED:
            return [StrategyStopped(c.strategy_id, c.reason_code, c.at)]
        case (StopStrategy(), Status.STOPPED) | (PauseStrategy(), Status.PAUSED) | (ResumeStrategy(), Status.ACTIVE):
            return []
        case PauseStrategy() as c, Status.ACTIVE:
            return [StrategyPaused(c.strategy_id, c.reason_code, c.at)]
        case ResumeStrategy() as c, Status.PAUSED:
            return [StrategyResumed(c.strategy_id, c.at)]
        case ConfigureStrategy() as c, Status.ACTIVE | Status.PAUSED:
            return _configure(strategy, c)
        case _:
            raise CommandRefused(f"{type(command).__name__} on a strategy that is {strategy.status}")


def _configure(strategy: Strategy, c: ConfigureStrategy) -> list[StrategyEvent]:
    _check_range("risk_per_trade_fraction", c.risk_per_trade_fraction, MAX_RISK_PER_TRADE_FRACTION)
    parameters = complete(strategy.kind, c.parameters)
    if (parameters, c.risk_per_trade_fraction) == (strategy.parameters, strategy.risk_per_trade_fraction):
        return []
    return [
        StrategyConfigChanged(c.strategy_id, parameters, c.risk_per_trade_fraction, strategy.config_version + 1, c.at)
    ]


def _follow(strategy: Strategy, command: AssignStrategy | ChangeAllocation | UnassignStrategy) -> list[StrategyEvent]:
    follower = strategy.followers.get(command.account_id)
    match command:
        case AssignStrategy():
            return _assign(strategy, follower, command)
        case UnassignStrategy() as c:
            if follower is None or c.assignment_id not in (None, follower.assignment_id):
                return []
            return [
                StrategyUnassigned(
                    c.strategy_id, follower.assignment_id, follower.user_id, c.account_id, c.reason_code, c.at
                )
            ]
        case ChangeAllocation() as c:
            if follower is None:
                raise CommandRefused(f"account {c.account_id} does not follow strategy {c.strategy_id}")
            _check_range("risk_multiplier", c.risk_multiplier, MAX_RISK_MULTIPLIER)
            wanted = (c.allocation_fraction, c.risk_multiplier)
            if wanted == (follower.allocation_fraction, follower.risk_multiplier):
                return []
            return [AllocationChanged(c.strategy_id, follower.assignment_id, c.account_id, *wanted, c.at)]


def _assign(strategy: Strategy, follower: Follower | None, c: AssignStrategy) -> list[StrategyEvent]:
    if strategy.status is Status.STOPPED:
        raise CommandRefused("AssignStrategy on a strategy that is stopped")
    if c.consented_at is None:
        raise CommandRefused("the account's owner has not consented to follow this strategy")
    if c.consented_at > c.at:
        raise InvalidInput("consented_at", "expected a time that has come")
    _check_range("risk_multiplier", c.risk_multiplier, MAX_RISK_MULTIPLIER)
    if follower is None:
        return [
            StrategyAssigned(
                c.strategy_id,
                c.assignment_id,
                c.user_id,
                c.account_id,
                c.allocation_fraction,
                c.risk_multiplier,
                c.consented_at,
                c.at,
            )
        ]
    if follower == Follower(c.assignment_id, c.user_id, c.allocation_fraction, c.risk_multiplier):
        return []
    raise CommandRefused(f"account {c.account_id} follows strategy {c.strategy_id} already")


def _check_range(field_name: str, value: Decimal, maximum: Decimal) -> None:
    if not (value.is_finite() and 0 < value <= maximum):
        raise InvalidInput(field_name, f"expected more than 0, at most {maximum}, found {value}")


def evolve(strategy: Strategy, event: StrategyEvent) -> Strategy:
    """Return the strategy after an event."""
    match event:
        case StrategyCreated() as e:
            return Strategy(Status.ACTIVE, e.kind, e.parameters, e.risk_per_trade_fraction, 1, e)
        case StrategyConfigChanged() as e:
            return replace(
                strategy,
                parameters=e.parameters,
                risk_per_trade_fraction=e.risk_per_trade_fraction,
                config_version=e.config_version,
            )
        case StrategyPaused():
            return replace(strategy, status=Status.PAUSED)
        case StrategyResumed():
            return replace(strategy, status=Status.ACTIVE)
        case StrategyStopped():
            return replace(strategy, status=Status.STOPPED)
        case StrategyAssigned() as e:
            follower = Follower(e.assignment_id, e.user_id, e.allocation_fraction, e.risk_multiplier)
            return replace(strategy, followers=strategy.followers | {e.account_id: follower})
        case AllocationChanged() as e:
            follower = replace(
                strategy.followers[e.account_id],
                allocation_fraction=e.allocation_fraction,
                risk_multiplier=e.risk_multiplier,
            )
            return replace(strategy, followers=strategy.followers | {e.account_id: follower})
        case StrategyUnassigned() as e:
            others = {account: kept for account, kept in strategy.followers.items() if account != e.account_id}
            return replace(strategy, followers=others)
        case _:
            assert_never(event)


STRATEGY = Decider(initial=Strategy(), decide=decide, evolve=evolve)
