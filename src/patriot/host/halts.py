"""A person's halt, and the end of it, from a process of its own: appended to the log, which the platform follows.

What stands is read from the log too, so that an answer never says that trading goes on where another halt covers it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from patriot.accounts.events import STREAM_TYPE as ACCOUNT_STREAM
from patriot.accounts.events import AccountLinked
from patriot.host.folder_database import FolderDatabase
from patriot.kernel.bus import decode_all
from patriot.kernel.codec import EVENTS
from patriot.kernel.errors import NotFound
from patriot.kernel.eventstore import START, Actor, ActorType, Context, Envelope, StreamKey
from patriot.kernel.feed import LogFeed
from patriot.kernel.ids import Ids
from patriot.kernel.projection import Recorded
from patriot.risk.commands import HaltCommand, HaltTrading, ResumeTrading
from patriot.risk.events import HaltEvent, HaltLevel, Scope, TradingHalted, TradingResumed, halt_stream
from patriot.risk.halts import HaltBook
from patriot.strategies.events import STREAM_TYPE as STRATEGY_STREAM
from patriot.users.events import STREAM_TYPE as USER_STREAM

OPERATOR = Actor(ActorType.ADMIN, "operator")  # whoever can use this machine; never a person's name
STREAMS = {Scope.USER: USER_STREAM, Scope.ACCOUNT: ACCOUNT_STREAM, Scope.STRATEGY: STRATEGY_STREAM}
HALTS = frozenset(EVENTS.name_of_class(one) for one in (TradingHalted, TradingResumed))


@dataclass(frozen=True, slots=True)
class HaltInForce:
    """A halt that stands, for one reason. `reference` is empty for GLOBAL."""

    scope: Scope
    reference: str
    level: HaltLevel
    reason_code: str
    halted_at: datetime


@dataclass(frozen=True, slots=True)
class HaltWish:
    """Halt a scope at a level; without a level, lift what stands. `reference` is empty for GLOBAL."""

    scope: Scope
    reference: str
    level: HaltLevel | None
    reason_code: str


async def halts_in_force(feed: LogFeed) -> list[HaltInForce]:
    """Return every halt that stands, from the log, the widest first."""
    return [
        HaltInForce(scope, reference, one.level, reason, one.halted_at)
        for scope, reference, reason, one in (await _read(feed)).in_force()
    ]


async def carry_out(opened: FolderDatabase, wish: HaltWish) -> str:
    """Record the wish durably; return what came of it, and what stands after it.

    Errors: NotFound for a reference that the log does not know.
    """
    known: list[Envelope] = []
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
    return _answer(wish, await _read(opened.store.feed), _wider(wish, known), changed=bool(decided.events))


def _answer(wish: HaltWish, book: HaltBook, wider: Sequence[tuple[Scope, str]], *, changed: bool) -> str:
    stands = book.halt_of(wish.scope, wish.reference).level
    above = [f"{_named(*scope)} is halted at {level}" for scope in wider if (level := book.halt_of(*scope).level)]
    concerned = {(wish.scope, wish.reference), *wider}
    others = len({one[:2] for one in book.in_force()} - concerned)
    if wish.level is None:
        freed = "its own halts are lifted" if above else "trading goes on"
        said = [freed if changed else "nothing was halted", *above]
        said += [f"other halts stand ({others}): `patriot halts` lists them"] if others else []
    elif not changed:
        said = [f"was halted at {stands} already" if stands is wish.level else f"stays halted at {stands}", *above]
    else:
        said = [f"halted at {wish.level}", *([] if stands is wish.level else [f"{stands} stands"]), *above]
    return f"{_named(wish.scope, wish.reference)}: {'; '.join(said)}"


def _named(scope: Scope, reference: str) -> str:
    return f"{scope} {reference}".strip()


def _wider(wish: HaltWish, known: list[Envelope]) -> list[tuple[Scope, str]]:
    """Return the scopes that hold everything of the wish's own."""
    if wish.scope is Scope.GLOBAL:
        return []
    owners = [event.user_id for event in decode_all(known) if isinstance(event, AccountLinked)]
    return [(Scope.GLOBAL, ""), *((Scope.USER, str(owner)) for owner in owners[-1:])]


async def _read(feed: LogFeed) -> HaltBook:
    book, place = HaltBook(), START
    while (page := await feed.read(place, event_types=HALTS)).events:
        for envelope in page.events:
            event: HaltEvent = Recorded.of(envelope).event
            book.apply(event)
        place = page.next
    return book
