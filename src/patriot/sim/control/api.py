"""The control API of the simulator: JSON over HTTP; amounts are decimal strings, times UTC milliseconds.

Every request carries `Authorization: Bearer TOKEN`; only GET /ui, the page, is served without.

    POST   /accounts           venue, balance, permissions (read, trade, withdraw, transfer), hedge_mode, public_key
                               -> uid, api_key, api_secret; public_key is a PEM (Ed25519 or RSA) instead of a secret
    POST   /accounts/{uid}/keys    permissions, public_key -> one more key of the account
    DELETE /keys/{api_key}     revoke a key
    POST   /permissions        api_key, permissions
    POST   /transfers          uid, amount (negative: out), info
    POST   /clock              until_ms, stop_on_activity; with --speed step only
    POST   /barrier            every stream has taken what was sent to it
    POST   /faults             a fault; GET /faults lists, DELETE /faults clears, DELETE /faults/{id} ends one
    GET    /view               one symbol of one venue for a page: ?venue=&symbol=&interval=&bars=&levels=&uid=
    GET    /state              everything, for a judge
    GET    /health             place in the prices, open streams

A refusal is {"detail": ...}: 401 without the token, 404 for what is not there, 409 for what the venue refuses, 422 for
a malformed field, which is named.
"""

import asyncio
import hmac
from collections.abc import Callable, Mapping

import msgspec
from aiohttp import web

from patriot.kernel.errors import InvalidInput, NotFound
from patriot.kernel.money import parse_decimal, plain
from patriot.sim.binance.signatures import open_public_key
from patriot.sim.control.answers import Handler, answered, body_of, error_answer, json_answer
from patriot.sim.control.faults import FaultApi
from patriot.sim.control.views import Views
from patriot.sim.engine.operations import Transfer
from patriot.sim.engine.words import Permission
from patriot.sim.exchange import Exchange, VenueName
from patriot.sim.faults.desk import FaultDesk
from patriot.sim.keys import ApiKey
from patriot.sim.sockets import Hub
from patriot.sim.timetable import Timetable
from patriot.sim.ui.page import serve_page
from patriot.sim.world import JournalLost, World

BARRIER_SECONDS = 10.0
TICKS_AT_A_TIME = 256  # between two looks at the sockets, while the clock runs without a stop
MAX_BODY_BYTES = 64 * 1024
PAGE = "/ui"


class NewAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    venue: VenueName
    balance: str
    permissions: tuple[Permission, ...] = (Permission.READ, Permission.TRADE)
    hedge_mode: bool = False
    public_key: str | None = None


class NewKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    permissions: tuple[Permission, ...] = (Permission.READ, Permission.TRADE)
    public_key: str | None = None


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


class Control:
    """The control API of one simulator."""

    def __init__(
        self,
        world: World,
        hubs: Mapping[VenueName, Hub],
        desk: FaultDesk,
        timetable: Timetable,
        token: str,
        *,
        stepped: bool,
        on_lost_journal: Callable[[JournalLost], None],
    ) -> None:
        self._world = world
        self._hubs = hubs
        self._desk = desk
        self._timetable = timetable
        self._token = token.encode()
        self._stepped = stepped
        self._on_lost_journal = on_lost_journal
        self._stepping = asyncio.Lock()

    def application(self) -> web.Application:
        """Return the application with its routes."""
        app = web.Application(middlewares=[self._guard], client_max_size=MAX_BODY_BYTES)
        app.router.add_get(PAGE, serve_page)
        app.router.add_post("/accounts", self._open_account)
        app.router.add_post("/accounts/{uid}/keys", self._add_key)
        app.router.add_delete("/keys/{api_key}", self._revoke_key)
        app.router.add_post("/permissions", self._set_permissions)
        app.router.add_post("/transfers", self._transfer)
        app.router.add_post("/clock", self._move_clock)
        app.router.add_post("/barrier", self._barrier)
        app.router.add_get("/health", self._health)
        FaultApi(self._desk).add_routes(app)
        Views(self._world, self._desk, stepped=self._stepped).add_routes(app)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let only the token's bearer in, and everyone to the page."""
        if request.path == PAGE:
            return await handler(request)
        offered = request.headers.get("Authorization", "").removeprefix("Bearer ").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(offered, self._token):
            return error_answer(401, "expected the header Authorization: Bearer with this simulator's token")
        return await answered(handler, request, self._on_lost_journal)

    # ------------------------------------------------------------------------------------------------ accounts

    async def _open_account(self, request: web.Request) -> web.Response:
        body = await body_of(request, NewAccount)
        balance = parse_decimal("balance", body.balance)
        if balance < 0:
            raise InvalidInput("balance", f"expected a number that is not negative, found {body.balance}")
        exchange = self._world.exchanges.get(body.venue)
        if exchange is None:
            raise InvalidInput("venue", f"this simulator runs without {body.venue}")
        public_key = _public_key(body.public_key)
        key = exchange.open_account(balance, body.permissions, public_key, hedge_mode=body.hedge_mode)
        return json_answer(_told(key))

    async def _add_key(self, request: web.Request) -> web.Response:
        body = await body_of(request, NewKey)
        uid = request.match_info["uid"]
        if not (uid.isascii() and uid.isdigit() and len(uid) < 19):
            raise NotFound(f"uid: no account {uid[:40]}")
        key = self._exchange_of(int(uid)).add_key(int(uid), body.permissions, _public_key(body.public_key))
        return json_answer(_told(key))

    async def _revoke_key(self, request: web.Request) -> web.Response:
        exchange, key = self._key(request.match_info["api_key"])
        exchange.revoke(key)
        return json_answer({"uid": key.uid})

    async def _set_permissions(self, request: web.Request) -> web.Response:
        body = await body_of(request, NewPermissions)
        exchange, key = self._key(body.api_key)
        changed = exchange.set_permissions(key, body.permissions)
        permissions = [permission.value for permission in changed.permissions]
        return json_answer({"uid": changed.uid, "permissions": permissions})

    async def _transfer(self, request: web.Request) -> web.Response:
        body = await body_of(request, NewTransfer, strict=False)
        amount = parse_decimal("amount", body.amount)
        exchange = self._exchange_of(body.uid)
        exchange.apply(Transfer(uid=body.uid, amount=amount, info=body.info))
        view = exchange.venue.account(body.uid)
        return json_answer({"uid": body.uid, "wallet": plain(view.wallet), "at_ms": self._world.now_ms})

    def _exchange_of(self, uid: int) -> Exchange:
        exchange = self._world.exchange_of(uid)
        if exchange is None:
            raise NotFound(f"uid: no account {uid}")
        return exchange

    def _key(self, api_key: str) -> tuple[Exchange, ApiKey]:
        for exchange in self._world.exchanges.values():
            key = exchange.keys.find(api_key)
            if key is not None:
                return exchange, key
        raise NotFound("api_key: no such key")

    # ------------------------------------------------------------------------------------------------ the clock

    async def _move_clock(self, request: web.Request) -> web.Response:
        body = await body_of(request, ClockStep)
        if not self._stepped:
            raise InvalidInput("until_ms", "the clock runs by itself; start the simulator with --speed step to move it")
        if not 0 < body.until_ms < 1 << 53:
            raise InvalidInput("until_ms", f"expected UTC milliseconds, found {body.until_ms}")
        async with self._stepping:
            bars, stopped_by = await self._step(body)
        world = self._world
        return json_answer(
            {
                "now_ms": world.now_ms,
                "bars_played": bars,
                "bars_left": world.bars_left,
                "stopped_by": list(stopped_by),
                "activity": world.activity,
            }
        )

    async def _step(self, body: ClockStep) -> tuple[int, tuple[str, ...]]:
        """Move the clock, looking at the sockets now and then, and letting faults begin and end at their times."""
        world, timetable, bars = self._world, self._timetable, 0
        while True:
            target = timetable.stop_before(body.until_ms)
            done = world.advance(target, stop_on_activity=body.stop_on_activity, max_ticks=TICKS_AT_A_TIME)
            bars += done.bars_played
            timetable.on_time(world.now_ms)
            at_the_end = world.now_ms >= body.until_ms or world.next_tick_ms() > body.until_ms
            if done.stopped_by or (at_the_end and timetable.stop_before(body.until_ms) == body.until_ms):
                return bars, done.stopped_by
            await asyncio.sleep(0)

    async def _barrier(self, _request: web.Request) -> web.Response:
        answered_all = await asyncio.gather(*(hub.barrier(BARRIER_SECONDS) for hub in self._hubs.values()))
        if not all(answered_all):
            return error_answer(504, f"a stream did not answer a ping within {BARRIER_SECONDS:.0f} seconds")
        return json_answer({"activity": self._world.activity, "streams": self._streams()})

    async def _health(self, _request: web.Request) -> web.Response:
        world = self._world
        return json_answer(
            {
                "status": "ok",
                "now_ms": world.now_ms,
                "streams": self._streams(),
                "bars_played": world.bars_played,
                "bars_left": world.bars_left,
            }
        )

    def _streams(self) -> int:
        return sum(hub.open_sessions for hub in self._hubs.values())


def _public_key(text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        open_public_key(text.encode())
    except ValueError as error:
        raise InvalidInput("public_key", str(error)) from None
    return text.encode()


def _told(key: ApiKey) -> dict[str, object]:
    """Return what the maker of a key is told; of a public key there is no secret to tell."""
    secret = None if key.public_key is not None else key.secret.decode()
    return {"uid": key.uid, "api_key": key.api_key, "api_secret": secret}
