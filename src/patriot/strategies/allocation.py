"""How one account is divided among strategies: the gate of every assignment. Pure.

It is a stream per account, because no stream of a strategy can see what other strategies hold of the same account.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import assert_never

from patriot.kernel.aggregate import Decider
from patriot.kernel.errors import CommandRefused, InvalidInput
from patriot.strategies.commands import AllocationCommand, ReleaseAllocation, ReserveAllocation
from patriot.strategies.events import AllocationEvent, AllocationReleased, AllocationReserved
from patriot.trading.terms import StrategyId

MIN_ALLOCATION_FRACTION = Decimal("0.05")  # of the account's equity; less cannot be traded at venues' minimum notionals
MAX_STRATEGIES = 5  # of one account


@dataclass(frozen=True, slots=True)
class Division:
    """What strategies hold of an account, as fractions of its equity."""

    held: dict[StrategyId, Decimal] = field(default_factory=dict)

    @property
    def total(self) -> Decimal:
        return sum(self.held.values(), Decimal(0))


def decide(division: Division, command: AllocationCommand) -> list[AllocationEvent]:
    """Return what a command does to the division. Errors: CommandRefused; InvalidInput naming a field."""
    match command:
        case ReserveAllocation() as c:
            held = division.held.get(c.strategy_id)
            if held == c.allocation_fraction:
                return []
            _check(division, c, held)
            return [AllocationReserved(c.account_id, c.strategy_id, c.allocation_fraction, c.at)]
        case ReleaseAllocation() as c:
            if c.strategy_id not in division.held:
                return []
            return [AllocationReleased(c.account_id, c.strategy_id, c.at)]
        case _:
            assert_never(command)


def _check(division: Division, c: ReserveAllocation, held: Decimal | None) -> None:
    fraction = c.allocation_fraction
    if not (fraction.is_finite() and MIN_ALLOCATION_FRACTION <= fraction <= 1):
        raise InvalidInput("allocation_fraction", f"expected {MIN_ALLOCATION_FRACTION} to 1, found {fraction}")
    if held is None and len(division.held) >= MAX_STRATEGIES:
        raise CommandRefused(f"an account follows at most {MAX_STRATEGIES} strategies")
    free = 1 - division.total + (held or 0)
    if fraction > free:
        raise CommandRefused(f"only {free} of the account is free, {fraction} was asked for")


def evolve(division: Division, event: AllocationEvent) -> Division:
    """Return the division after an event."""
    match event:
        case AllocationReserved() as e:
            return Division(division.held | {e.strategy_id: e.allocation_fraction})
        case AllocationReleased() as e:
            return Division({id_: held for id_, held in division.held.items() if id_ != e.strategy_id})
        case _:
            assert_never(event)


ALLOCATION = Decider(initial=Division(), decide=decide, evolve=evolve)
