"""`patriot events`: the log, as a person or a program reads it."""

import json as text
from typing import Annotated, Any
from uuid import UUID

import typer

from patriot.cli.folders import BIGGEST, Home, Limit, folder_opened
from patriot.cli.listings import known_account
from patriot.cli.running import run
from patriot.host.reading import Wanted, first_place, number_of, read_events
from patriot.kernel.eventstore import START, Envelope

SHOWN_CHARACTERS = 160  # of an event's data on a line for a person; --json has all of it


def events(
    type_: Annotated[str | None, typer.Option("--type", help="such as order.filled", show_default=False)] = None,
    stream: Annotated[
        UUID | None, typer.Option(help="id of one stream: an order, an account", show_default=False)
    ] = None,
    account: Annotated[UUID | None, typer.Option(help="events about one account", show_default=False)] = None,
    after: Annotated[
        int | None,
        typer.Option(help="from behind this position on; else the newest", min=0, max=BIGGEST, show_default=False),
    ] = None,
    limit: Limit = 50,
    follow: Annotated[bool, typer.Option("--follow", help="go on as events come, until Ctrl-C")] = False,
    home: Home = None,
    json: Annotated[bool, typer.Option("--json", help="one JSON object per line")] = False,
) -> None:
    """Read the log: what happened, in the order in which it was recorded."""
    run(_events(type_, stream, account, after, limit, follow=follow, home=home, json=json))


async def _events(
    type_: str | None,
    stream: UUID | None,
    account: UUID | None,
    after: int | None,
    limit: int,
    *,
    follow: bool,
    home: Home,
    json: bool,
) -> None:
    wanted = Wanted(type_, stream, account)
    async with folder_opened(home) as opened:
        await known_account(opened, account)
        place = await first_place(opened, wanted, after, limit)
        found = False
        async for envelope in read_events(opened, wanted, place, limit, follow=follow):
            found = True
            typer.echo(text.dumps(_record(envelope)) if json else _line(envelope))
        if not found and not json:
            typer.echo("no event in the log" if await opened.store.feed.newest() == START else "no such event")


def _line(envelope: Envelope) -> str:
    at = f"{envelope.occurred_at:%Y-%m-%d %H:%M:%S}.{envelope.occurred_at.microsecond // 1000:03}"
    stream = f"{envelope.stream.stream_type} {envelope.stream.stream_id} v{envelope.stream_version}"
    data = envelope.data if len(envelope.data) <= SHOWN_CHARACTERS else envelope.data[:SHOWN_CHARACTERS] + " ..."
    return f"{number_of(envelope):>8}  {at}  {envelope.event_type:<28} {stream}  {data}"


def _record(envelope: Envelope) -> dict[str, Any]:
    context = envelope.context
    return {
        "position": number_of(envelope),
        "event_id": str(envelope.event_id),
        "event_type": envelope.event_type,
        "schema_version": envelope.schema_version,
        "stream_type": envelope.stream.stream_type,
        "stream_id": str(envelope.stream.stream_id),
        "stream_version": envelope.stream_version,
        "occurred_at": envelope.occurred_at.isoformat(),
        "recorded_at": envelope.recorded_at.isoformat(),
        "correlation_id": str(context.correlation_id),
        "causation_id": context.causation_id and str(context.causation_id),
        "user_id": context.user_id and str(context.user_id),
        "account_id": context.account_id and str(context.account_id),
        "actor_type": context.actor.type,
        "actor_id": context.actor.id,
        "event_hash": envelope.event_hash.hex(),
        "data": text.loads(envelope.data),
    }
