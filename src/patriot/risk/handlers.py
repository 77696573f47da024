"""How commands of risk reach their streams. The gate of an entry asks `RISK` on `risk_stream`."""

from patriot.kernel.bus import CommandBus, Handler
from patriot.kernel.eventstore import StreamKey
from patriot.risk.commands import (
    HaltCommand,
    HaltTrading,
    RecordViolation,
    ReleaseExposure,
    ReserveExposure,
    ResumeTrading,
    RiskCommand,
    SetLimit,
)
from patriot.risk.decider import RISK
from patriot.risk.events import HALT_STREAM_TYPE, LIMITS_STREAM_TYPE, STREAM_TYPE
from patriot.risk.halts import HALT, halt_stream_id
from patriot.risk.limits import LIMITS
from patriot.trading.terms import AccountId


def risk_stream(account_id: AccountId) -> StreamKey:
    """Return the stream that holds an account's reservations."""
    return StreamKey(STREAM_TYPE, account_id)


def register(bus: CommandBus) -> None:
    """Handle every command of risk on this bus."""
    exposure: Handler[RiskCommand] = Handler(
        stream_of=lambda c: risk_stream(c.account_id), decider=RISK, occurred_at=lambda c: c.at
    )
    halt: Handler[HaltCommand] = Handler(
        stream_of=lambda c: StreamKey(HALT_STREAM_TYPE, halt_stream_id(c.scope, c.reference)),
        decider=HALT,
        occurred_at=lambda c: c.at,
    )
    limit: Handler[SetLimit] = Handler(
        stream_of=lambda c: StreamKey(LIMITS_STREAM_TYPE, c.limits_id), decider=LIMITS, occurred_at=lambda c: c.at
    )
    bus.handle(ReserveExposure, exposure)
    bus.handle(ReleaseExposure, exposure)
    bus.handle(RecordViolation, exposure)
    bus.handle(HaltTrading, halt)
    bus.handle(ResumeTrading, halt)
    bus.handle(SetLimit, limit)
