"""A person's halt, and the end of it, from a process of its own: appended to the log, which the platform follows.

What stands is read from the log too, so that an answer never says that trading goes on where another halt covers it.
"""

import asyncio
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
from patriot.kernel.eventstore import START, Actor, ActorType, Context, Envelope, Place, StreamKey
from patriot.kernel.feed import LogFeed
from patriot.kernel.ids import Ids
from patriot.kernel.projection import Recorded
from patriot.risk.commands import HaltCommand, HaltTrading, ResumeTrading
from patriot.risk.events import HaltEvent, HaltLevel, Scope, TradingHalted, TradingResumed, halt_stream
from patriot.risk.halts import HALT, HaltBook
from patriot.strategies.events import STREAM_TYPE as STRATEGY_STREAM
from patriot.users.events import STREAM_TYPE as USER_STREAM

OPERATOR = Actor(ActorType.ADMIN, "operator")  # whoever can use this machine; never a person's name
STREAMS = {Scope.USER: USER_STREAM, Scope.ACCOUNT: ACCOUNT_STREAM, Scope.STRATEGY: STRATEGY_STREAM}
READ_SECONDS, POLL_SECONDS = 2.0, 0.05  # longer than any append of a platform
UNREAD = "recorded and not read yet, nor by the platform: a write that is open in the database holds readers back"
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
    book, _ = await _read(feed)
    return [
        HaltInForce(scope, reference, one.level, reason, one.halted_at)
        for scope, reference, reason, one in book.in_force()
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
    own = await opened.store.read_stream(halt_stream(wish.scope, wish.reference))
    book, seen = await _read_up_to(opened, own[-1].place if own else START)
    after = _After(bool(decided.events), HALT.fold(decode_all(own)).level, seen, book)
    return _answer(wish, after, _wider(wish, known))


@dataclass(frozen=True, slots=True)
class _After:
    """What a wish did, what stands for its own scope, whether readers of the log have it, and what they have."""

    changed: bool
    stands: HaltLevel | None
    seen: bool
    book: HaltBook


async def _read_up_to(opened: FolderDatabase, own: Place) -> tuple[HaltBook, bool]:
    """Return what readers have, and whether it goes as far as a place: any open write holds them back."""
    feed, until = opened.store.feed, opened.clock.monotonic() + READ_SECONDS
    book, place = await _read(feed)
    while not (seen := feed.reached(place, own)) and opened.clock.monotonic() < until:
        await asyncio.sleep(POLL_SECONDS)
        book, place = await _read(feed)
    return book, seen


def _answer(wish: HaltWish, after: _After, wider: Sequence[tuple[Scope, str]]) -> str:
    book, stands = after.book, after.stands
    above = [f"{_named(*scope)} is halted at {level}" for scope in wider if (level := book.halt_of(*scope).level)]
    concerned = {(wish.scope, wish.reference), *wider}
    others = len({one[:2] for one in book.in_force()} - concerned)
    if wish.level is None:
        freed = "its own halts are lifted" if above or not after.seen else "trading goes on"
        said = [freed if after.changed else "nothing was halted", *above]
        said += [f"other halts stand ({others}): `patriot halts` lists them"] if others else []
    elif not after.changed:
        said = [f"was halted at {stands} already" if stands is wish.level else f"stays halted at {stands}", *above]
    else:
        said = [f"halted at {wish.level}", *([] if stands is wish.level else [f"{stands} stands"]), *above]
    return f"{_named(wish.scope, wish.reference)}: {'; '.join(said if after.seen else [*said, UNREAD])}"


def _named(scope: Scope, reference: str) -> str:
    return f"{scope} {reference}".strip()


def _wider(wish: HaltWish, known: list[Envelope]) -> list[tuple[Scope, str]]:
    """Return the scopes that hold everything of the wish's own."""
    if wish.scope is Scope.GLOBAL:
        return []
    owners = [event.user_id for event in decode_all(known) if isinstance(event, AccountLinked)]
    return [(Scope.GLOBAL, ""), *((Scope.USER, str(owner)) for owner in owners[-1:])]


async def _read(feed: LogFeed) -> tuple[HaltBook, Place]:
    book, place = HaltBook(), START
    while (page := await feed.read(place, event_types=HALTS)).events:
        for envelope in page.events:
            event: HaltEvent = Recorded.of(envelope).event
            book.apply(event)
        place = page.next
    return book, place
