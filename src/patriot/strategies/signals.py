"""The record of one signal: written once, never changed. Pure."""

from dataclasses import dataclass, fields

from patriot.kernel.aggregate import Decider
from patriot.kernel.errors import CommandRefused
from patriot.strategies.commands import RecordSignal
from patriot.strategies.events import SignalAction, SignalEvent, SignalGenerated


@dataclass(frozen=True, slots=True)
class Signal:
    recorded: bool = False


def decide(signal: Signal, command: RecordSignal) -> list[SignalEvent]:
    """Return the signal as an event, or nothing if it is known. Errors: CommandRefused if its prices contradict it."""
    if signal.recorded:
        return []  # a restarted runner says it again
    _check_prices(command)
    return [SignalGenerated(**{field.name: getattr(command, field.name) for field in fields(command)})]


def _check_prices(c: RecordSignal) -> None:
    if c.action is SignalAction.CLOSE:
        return
    sign = 1 if c.action is SignalAction.BUY else -1
    if c.stop_price is None or c.stop_price <= 0 or sign * (c.reference_price - c.stop_price) <= 0:
        raise CommandRefused(f"{c.action} at {c.reference_price} needs a stop on its losing side, found {c.stop_price}")
    target = c.take_profit_price
    if target is not None and (target <= 0 or sign * (target - c.reference_price) <= 0):
        raise CommandRefused(f"{c.action} at {c.reference_price} needs a target on its winning side, found {target}")


def evolve(signal: Signal, event: SignalEvent) -> Signal:
    """Return the signal after its one event."""
    return Signal(recorded=True)


SIGNAL = Decider(initial=Signal(), decide=decide, evolve=evolve)
