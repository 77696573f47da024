"""A person's halt, and the end of it, from a process of its own: appended to the log, which the platform follows."""

from dataclasses import dataclass
from uuid import UUID

from patriot.accounts.events import STREAM_TYPE as ACCOUNT_STREAM
from patriot.host.folder_database import FolderDatabase
from patriot.kernel.errors import NotFound
from patriot.kernel.eventstore import Actor, ActorType, Context, StreamKey
from patriot.kernel.ids import Ids
from patriot.risk.commands import HaltCommand, HaltTrading, ResumeTrading
from patriot.risk.events import HaltLevel, Scope, halt_stream
from patriot.strategies.events import STREAM_TYPE as STRATEGY_STREAM
from patriot.users.events import STREAM_TYPE as USER_STREAM

OPERATOR = Actor(ActorType.ADMIN, "operator")  # whoever can use this machine; never a person's name
STREAMS = {Scope.USER: USER_STREAM, Scope.ACCOUNT: ACCOUNT_STREAM, Scope.STRATEGY: STRATEGY_STREAM}


@dataclass(frozen=True, slots=True)
class HaltWish:
    """Halt a scope at a level; without a level, lift what stands. `reference` is empty for GLOBAL."""

    scope: Scope
    reference: str
    level: HaltLevel | None
    reason_code: str


async def carry_out(opened: FolderDatabase, wish: HaltWish) -> str:
    """Record the wish durably; return what came of it. Errors: NotFound for a reference that the log does not know."""
    about = f"{wish.scope} {wish.reference}".strip()
    if wish.scope in STREAMS:
        known = await opened.store.read_stream(StreamKey(STREAMS[wish.scope], UUID(wish.reference)))
        if not known:
            raise NotFound(f"--reference: there is no {wish.scope.lower()} {wish.reference}")
    halts = await opened.store.read_stream(halt_stream(wish.scope, wish.reference))
    # The platform's clock may be that of a simulator, ahead of ours: a person's word comes after what stands.
    at = max([opened.clock.now(), *(envelope.occurred_at for envelope in halts)])
    command: HaltCommand = (
        ResumeTrading(wish.scope, wish.reference, wish.reason_code, at)
        if wish.level is None
        else HaltTrading(wish.scope, wish.reference, wish.level, wish.reason_code, at)
    )
    decided = await opened.bus.dispatch(command, Context(Ids(opened.clock).new(), actor=OPERATOR))
    if wish.level is None:
        return f"{about}: trading goes on" if decided.events else f"{about}: nothing was halted"
    return (
        f"{about}: halted at {wish.level}" if decided.events else f"{about}: was halted at {wish.level} or more already"
    )
