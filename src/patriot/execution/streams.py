"""Which stream each execution command goes to; closing a bracket is gated by the risk that it releases."""

from typing import Any

from patriot.execution.commands import (
    CloseBracket,
    ProtectionCommand,
    RecordAdjustment,
    RecordProtected,
    RecordProtectionFailed,
    RecordRouting,
    RecordUnexplained,
    RequestClose,
)
from patriot.execution.decider import EXECUTION, PROTECTION
from patriot.execution.events import protection_stream, routing_stream
from patriot.kernel.aggregate import Decider
from patriot.kernel.bus import CommandBus, Gate, Handler
from patriot.kernel.eventstore import StreamKey
from patriot.risk.commands import ReleaseExposure
from patriot.risk.events import risk_stream


def register(bus: CommandBus, risk: Decider[Any, Any, Any]) -> None:
    """Register every execution command; `risk` is the decider that releases exposure."""
    routing: Handler[RecordRouting] = Handler(
        lambda c: routing_stream(c.signal_id, c.account.account_id), EXECUTION, None, lambda c: c.at
    )
    bus.handle(RecordRouting, routing)
    for command_type in (RecordProtected, RequestClose, RecordAdjustment, RecordUnexplained, RecordProtectionFailed):
        bus.handle(command_type, Handler(_protection_stream, PROTECTION, None, lambda c: c.at))
    gate: Gate[CloseBracket] = Gate(
        stream_of=lambda c: risk_stream(c.account_id),
        decider=risk,
        command_of=lambda c: ReleaseExposure(c.account_id, c.group_id, c.at),
        admit=lambda c, _: c,
    )
    bus.handle(CloseBracket, Handler(_protection_stream, PROTECTION, gate, lambda c: c.at))


def _protection_stream(command: ProtectionCommand) -> StreamKey:
    return protection_stream(command.group_id)
