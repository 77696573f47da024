"""The control API: accounts, transfers, permissions, the clock, the barrier, faults, and the state for a judge.

Every request carries `Authorization: Bearer TOKEN`. Bodies and answers are JSON; amounts are decimal strings.
"""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
from aiohttp import web

from patriot.kernel.errors import InvalidInput, NotFound, PatriotError
from patriot.kernel.money import parse_decimal, plain
from patriot.sim.engine.events import VenueRefusal
from patriot.sim.engine.operations import Transfer
from patriot.sim.engine.words import Permission
from patriot.sim.exchange import Exchange, VenueName
from patriot.sim.faults import Channel, Faults, RestFault, RestRule, Scope, StreamFault, StreamRule, Term
from patriot.sim.sockets import Hub
from patriot.sim.world import JournalLost, World

BARRIER_SECONDS = 10.0
TICKS_AT_A_TIME = 256  # between two looks at the sockets, while the clock runs without a stop
MAX_FAULT_DELAY_MS = 600_000
_ENCODE = msgspec.json.Encoder().encode

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class NewAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    venue: VenueName
    balance: str
    permissions: tuple[Permission, ...] = (Permission.READ, Permission.TRADE)


class NewTransfer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    uid: int
    amount: str
    info: str = ""


class NewPermissions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    api_key: str
    permissions: tuple[Permission, ...]


class ClockStep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    until_ms: int
    stop_on_activity: bool = True


class RequestMatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    method: str | None = None
    path: str | None = None


class NewFault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Either fault (with match) on REST, or stream (with event, uid) on private messages."""

    fault: RestFault | None = None
    match: RequestMatch = RequestMatch()
    stream: StreamFault | None = None
    event: str | None = None
    uid: int | None = None
    times: int = 1
    delay_ms: int = 0


class Control:
    """The control API of one simulator."""

    def __init__(
        self,
        world: World,
        hubs: Sequence[Hub],
        faults: Faults,
        token: str,
        *,
        stepped: bool,
        on_lost_journal: Callable[[JournalLost], None],
    ) -> None:
        self._on_lost_journal = on_lost_journal
        self._world = world
        self._hubs = hubs
        self._faults = faults
        self._token = token.encode()
        self._stepped = stepped
        self._stepping = asyncio.Lock()

    def application(self) -> web.Application:
        """Return the application with its routes."""
        app = web.Application(middlewares=[self._guard], client_max_size=64 * 1024)
        app.router.add_post("/accounts", self._open_account)
        app.router.add_post("/transfers", self._transfer)
        app.router.add_post("/permissions", self._set_permissions)
        app.router.add_post("/clock", self._move_clock)
        app.router.add_post("/barrier", self._barrier)
        app.router.add_post("/faults", self._add_fault)
        app.router.add_delete("/faults", self._clear_faults)
        app.router.add_get("/state", self._state)
        app.router.add_get("/health", self._health)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let only the token's bearer in; turn what goes wrong into one clear error."""
        offered = request.headers.get("Authorization", "").removeprefix("Bearer ").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(offered, self._token):
            return _error(401, "expected the header Authorization: Bearer with this simulator's token")
        try:
            return await handler(request)
        except (msgspec.DecodeError, InvalidInput) as error:
            return _error(422, str(error))
        except VenueRefusal as refusal:
            return _error(409, f"{refusal.code}: {refusal.message}")
        except NotFound as error:
            return _error(404, str(error))
        except JournalLost as error:
            self._on_lost_journal(error)
            return _error(503, str(error))
        except PatriotError as error:
            return _error(409, str(error))
        except web.HTTPException as error:
            return _error(error.status, error.reason)

    async def _open_account(self, request: web.Request) -> web.Response:
        body = msgspec.json.decode(await request.read(), type=NewAccount)
        balance = parse_decimal("balance", body.balance)
        if balance < 0:
            raise InvalidInput("balance", f"expected a number that is not negative, found {body.balance}")
        exchange = self._world.exchanges.get(body.venue)
        if exchange is None:
            raise InvalidInput("venue", f"this simulator runs without {body.venue}")
        key = exchange.open_account(balance, body.permissions)
        return _json({"uid": key.uid, "api_key": key.api_key, "api_secret": key.secret.decode()})

    async def _transfer(self, request: web.Request) -> web.Response:
        body = msgspec.json.decode(await request.read(), type=NewTransfer, strict=False)
        amount = parse_decimal("amount", body.amount)
        exchange = self._exchange_of(body.uid)
        exchange.apply(Transfer(uid=body.uid, amount=amount, info=body.info))
        view = exchange.venue.account(body.uid)
        return _json({"uid": body.uid, "wallet": plain(view.wallet), "at_ms": self._world.now_ms})

    def _exchange_of(self, uid: int) -> Exchange:
        exchange = self._world.exchange_of(uid)
        if exchange is None:
            raise NotFound(f"uid: no account {uid}")
        return exchange

    async def _set_permissions(self, request: web.Request) -> web.Response:
        body = msgspec.json.decode(await request.read(), type=NewPermissions)
        for exchange in self._world.exchanges.values():
            key = exchange.keys.find(body.api_key)
            if key is not None:
                changed = exchange.set_permissions(key, body.permissions)
                permissions = [permission.value for permission in changed.permissions]
                return _json({"uid": changed.uid, "permissions": permissions})
        raise NotFound("api_key: no such key")

    async def _move_clock(self, request: web.Request) -> web.Response:
        body = msgspec.json.decode(await request.read(), type=ClockStep)
        if not self._stepped:
            raise InvalidInput("until_ms", "the clock runs by itself; start the simulator with --speed step to move it")
        if not 0 < body.until_ms < 1 << 53:
            raise InvalidInput("until_ms", f"expected UTC milliseconds, found {body.until_ms}")
        async with self._stepping:
            bars, stopped_by = await self._step(body)
        world = self._world
        return _json(
            {
                "now_ms": world.now_ms,
                "bars_played": bars,
                "bars_left": world.bars_left,
                "stopped_by": list(stopped_by),
                "activity": world.activity,
            }
        )

    async def _step(self, body: ClockStep) -> tuple[int, tuple[str, ...]]:
        """Move the clock, looking at the sockets now and then."""
        world, bars = self._world, 0
        while True:
            done = world.advance(body.until_ms, stop_on_activity=body.stop_on_activity, max_ticks=TICKS_AT_A_TIME)
            bars += done.bars_played
            if done.stopped_by or world.now_ms >= body.until_ms or world.next_tick_ms() > body.until_ms:
                return bars, done.stopped_by
            await asyncio.sleep(0)

    async def _barrier(self, _request: web.Request) -> web.Response:
        answered = await asyncio.gather(*(hub.barrier(BARRIER_SECONDS) for hub in self._hubs))
        if not all(answered):
            return _error(504, f"a stream did not answer a ping within {BARRIER_SECONDS:.0f} seconds")
        return _json({"activity": self._world.activity, "streams": sum(hub.open_sessions for hub in self._hubs)})

    async def _add_fault(self, request: web.Request) -> web.Response:
        body = msgspec.json.decode(await request.read(), type=NewFault)
        if (body.fault is None) == (body.stream is None):
            raise InvalidInput("fault", "expected either fault, on REST, or stream, on private messages")
        if not 0 < body.times <= 1_000_000:
            raise InvalidInput("times", f"expected 1 to 1000000, found {body.times}")
        if not 0 <= body.delay_ms <= MAX_FAULT_DELAY_MS:
            raise InvalidInput("delay_ms", f"expected 0 to {MAX_FAULT_DELAY_MS}, found {body.delay_ms}")
        term = Term(times=body.times)
        if body.fault is not None:
            scope = Scope(method=body.match.method, path=body.match.path)
            self._faults.add(
                RestRule(fault=body.fault, scope=scope, term=term, min_ms=body.delay_ms, max_ms=body.delay_ms)
            )
        elif body.stream is not None:
            scope = Scope(event=body.event, uid=body.uid, channel=Channel.PRIVATE)
            self._faults.add(
                StreamRule(fault=body.stream, scope=scope, term=term, min_ms=body.delay_ms, max_ms=body.delay_ms)
            )
        return _json({"times": body.times})

    async def _clear_faults(self, _request: web.Request) -> web.Response:
        self._faults.clear()
        return _json({})

    async def _state(self, _request: web.Request) -> web.Response:
        world = self._world
        keys = {
            str(uid): [
                {"api_key": key.api_key, "permissions": [permission.value for permission in key.permissions]}
                for key in exchange.keys.of(uid)
            ]
            for exchange in world.exchanges.values()
            for uid in exchange.venue.uids
        }
        accounts: dict[str, Any] = {}
        tickers: dict[str, Any] = {}
        for exchange in world.exchanges.values():
            state = exchange.venue.state()
            accounts |= state["accounts"]
            tickers |= state["tickers"]  # all venues follow the same prices
        place = {
            "now_ms": world.now_ms,
            "bars_played": world.bars_played,
            "bars_left": world.bars_left,
            "activity": world.activity,
        }
        return _json({"tickers": tickers, "accounts": accounts, "keys": keys, "wire_ms": world.wire.state(), **place})

    async def _health(self, _request: web.Request) -> web.Response:
        world = self._world
        return _json(
            {
                "status": "ok",
                "now_ms": world.now_ms,
                "streams": sum(hub.open_sessions for hub in self._hubs),
                "bars_played": world.bars_played,
                "bars_left": world.bars_left,
            }
        )


def _json(value: dict[str, Any]) -> web.Response:
    return web.Response(body=_ENCODE(value), content_type="application/json")


def _error(status: int, detail: str) -> web.Response:
    return web.Response(body=_ENCODE({"detail": detail}), status=status, content_type="application/json")
