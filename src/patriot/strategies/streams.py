"""Which stream each command goes to; the account's division is the gate of every assignment."""

from patriot.kernel.bus import CommandBus, Gate, Handler
from patriot.strategies.allocation import ALLOCATION
from patriot.strategies.commands import (
    AssignStrategy,
    ChangeAllocation,
    ConfigureStrategy,
    CreateStrategy,
    PauseStrategy,
    RecordSignal,
    ReleaseAllocation,
    ReserveAllocation,
    ResumeStrategy,
    StopStrategy,
    UnassignStrategy,
)
from patriot.strategies.decider import STRATEGY
from patriot.strategies.events import allocation_stream, signal_stream, strategy_stream
from patriot.strategies.signals import SIGNAL

Operated = CreateStrategy | ConfigureStrategy | PauseStrategy | ResumeStrategy | StopStrategy
Allocated = AssignStrategy | ChangeAllocation


def register(bus: CommandBus) -> None:
    """Register every command of this domain."""
    operate: Handler[Operated] = Handler(lambda c: strategy_stream(c.strategy_id), STRATEGY, None, lambda c: c.at)
    for operated in (CreateStrategy, ConfigureStrategy, PauseStrategy, ResumeStrategy, StopStrategy):
        bus.handle(operated, operate)
    reserve: Gate[Allocated] = Gate(lambda c: allocation_stream(c.account_id), ALLOCATION, _reserve, lambda c, _: c)
    allocate: Handler[Allocated] = Handler(lambda c: strategy_stream(c.strategy_id), STRATEGY, reserve, lambda c: c.at)
    for allocated in (AssignStrategy, ChangeAllocation):
        bus.handle(allocated, allocate)
    release: Gate[UnassignStrategy] = Gate(
        lambda c: allocation_stream(c.account_id), ALLOCATION, _release, lambda c, _: c
    )
    bus.handle(UnassignStrategy, Handler(lambda c: strategy_stream(c.strategy_id), STRATEGY, release, lambda c: c.at))
    bus.handle(RecordSignal, Handler(lambda c: signal_stream(c.signal_id), SIGNAL, None, lambda c: c.generated_at))


def _reserve(c: Allocated) -> ReserveAllocation:
    return ReserveAllocation(c.account_id, c.strategy_id, c.allocation_fraction, c.at)


def _release(c: UnassignStrategy) -> ReleaseAllocation:
    return ReleaseAllocation(c.account_id, c.strategy_id, c.at)
