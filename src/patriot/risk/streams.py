"""How commands of risk reach their streams. The gate of an entry asks `RISK` on `risk_stream`."""

from patriot.kernel.bus import CommandBus, Handler
from patriot.kernel.eventstore import StreamKey
from patriot.risk.commands import (
    HaltCommand,
    HaltTrading,
    RebasePeak,
    RecordViolation,
    ReleaseExposure,
    ReserveExposure,
    RestoreExposure,
    ResumeTrading,
    RiskCommand,
    SetLimit,
)
from patriot.risk.decider import RISK
from patriot.risk.events import LIMITS_STREAM_TYPE, halt_stream, risk_stream
from patriot.risk.halts import HALT
from patriot.risk.limits import LIMITS


def register(bus: CommandBus) -> None:
    """Handle every command of risk on this bus."""
    exposure: Handler[RiskCommand] = Handler(
        stream_of=lambda c: risk_stream(c.account_id), decider=RISK, occurred_at=lambda c: c.at
    )
    halt: Handler[HaltCommand] = Handler(
        stream_of=lambda c: halt_stream(c.scope, c.reference),
        decider=HALT,
        occurred_at=lambda c: c.at,
    )
    limit: Handler[SetLimit] = Handler(
        stream_of=lambda c: StreamKey(LIMITS_STREAM_TYPE, c.limits_id), decider=LIMITS, occurred_at=lambda c: c.at
    )
    bus.handle(ReserveExposure, exposure)
    bus.handle(RestoreExposure, exposure)
    bus.handle(ReleaseExposure, exposure)
    bus.handle(RecordViolation, exposure)
    bus.handle(RebasePeak, exposure)
    bus.handle(HaltTrading, halt)
    bus.handle(ResumeTrading, halt)
    bus.handle(SetLimit, limit)
