"""JSON of the control API: bodies in, answers out, one shape of error."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from aiohttp import web

from patriot.kernel.errors import InvalidInput, NotFound, PatriotError
from patriot.sim.engine.events import VenueRefusal
from patriot.sim.world import JournalLost

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
T = TypeVar("T")
_ENCODE = msgspec.json.Encoder().encode


def json_answer(value: object) -> web.Response:
    """Return a good answer."""
    return web.Response(body=_ENCODE(value), content_type="application/json")


def error_answer(status: int, detail: str) -> web.Response:
    """Return a refusal and why."""
    return web.Response(body=_ENCODE({"detail": detail}), status=status, content_type="application/json")


async def body_of(request: web.Request, shape: type[T], *, strict: bool = True) -> T:
    """Return the body as the shape. Errors: msgspec.DecodeError says what was expected and where."""
    return msgspec.json.decode(await request.read(), type=shape, strict=strict)


def whole_number(request: web.Request, name: str, default: int | None = None) -> int | None:
    """Return a whole number of the query. Errors: InvalidInput names it."""
    text = request.query.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise InvalidInput(name, f"expected a whole number, found {text[:40]!r}")
    return int(text)


async def answered(
    handler: Handler, request: web.Request, on_lost: Callable[[JournalLost], None]
) -> web.StreamResponse:
    """Run a handler; turn what goes wrong into one clear error."""
    try:
        return await handler(request)
    except (msgspec.DecodeError, InvalidInput) as error:
        return error_answer(422, str(error))
    except VenueRefusal as refusal:
        return error_answer(409, f"{refusal.code}: {refusal.message}")
    except NotFound as error:
        return error_answer(404, str(error))
    except JournalLost as error:
        on_lost(error)
        return error_answer(503, str(error))
    except PatriotError as error:
        return error_answer(409, str(error))
    except web.HTTPException as error:
        return error_answer(error.status, error.reason)
