"""The exchange of a run: sim's real engine and Binance face, on the virtual network and the virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from random import Random

from aiohttp import web

from patriot.accounts.ports import ApiKey
from patriot.kernel.clock import Clock, to_epoch_ms
from patriot.sim.binance.face import BinanceFace
from patriot.sim.binance.limits import Limits
from patriot.sim.engine.events import Result, VenueRefusal
from patriot.sim.engine.instruments import LISTED
from patriot.sim.engine.operations import MovePrice, Operation, SetFillParts
from patriot.sim.engine.venue import Venue
from patriot.sim.engine.words import Permission
from patriot.sim.exchange import Exchange, ExchangeRecord, KeyMade, VenueName
from patriot.sim.faults.rules import Faults
from patriot.sim.wire_times import WireTimes
from patriot.simulation.network import LOCALHOST

PORT = 9101
HOUSEKEEPING_SECONDS = 1.0
PRICES = {"BTCUSDT": Decimal(40_000), "ETHUSDT": Decimal(2_500), "SOLUSDT": Decimal(100)}
Applied = Callable[[Operation, Result], None]


class _Keeper:
    """What an exchange needs of the world: its time, and nothing to write down."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    @property
    def now_ms(self) -> int:
        return to_epoch_ms(self._clock.now())

    @property
    def speed(self) -> int:
        return 1

    def reach(self, at_ms: int) -> None:
        """Do nothing: this clock runs by itself."""

    def write(self, record: ExchangeRecord) -> None:
        """Do nothing: nobody comes back to this exchange."""


class WatchedExchange(Exchange):
    """An exchange under the eyes of a judge."""

    watch: Applied | None = None

    def apply(self, operation: Operation, key_of: Callable[[Result], KeyMade] | None = None) -> Result:
        """Apply an operation, and tell what was applied."""
        result = super().apply(operation, key_of)
        if self.watch is not None:
            self.watch(operation, result)
        return result


class SimulatedVenue:
    """Engine, face and port, with the prices of the moment."""

    def __init__(self, seed: int, clock: Clock) -> None:
        self._clock = clock
        self.engine = Venue(seed=seed, instruments=[one for one in LISTED if one.symbol in PRICES])
        self.exchange = WatchedExchange(
            VenueName.BINANCE,
            self.engine,
            _Keeper(clock),
            WireTimes(clock.monotonic),
            _seeded_text(Random(f"{seed} keys")),
        )
        self.faults = Faults(lambda: to_epoch_ms(clock.now()), clock.monotonic, seed)
        self.face = BinanceFace(self.exchange, self.faults, clock, Limits(), live=True, on_lost_journal=_no_journal)
        self.prices = dict(PRICES)
        self._runner = web.AppRunner(self.face.application(), access_log=None, shutdown_timeout=1.0)

    @property
    def url(self) -> str:
        return f"http://{LOCALHOST}:{PORT}"

    @property
    def ws_url(self) -> str:
        return f"ws://{LOCALHOST}:{PORT}"

    async def start(self) -> None:
        """Show first prices and open the port."""
        for symbol in PRICES:
            self.move(symbol, Decimal(0))
        await self._runner.setup()
        await web.TCPSite(self._runner, LOCALHOST, PORT).start()

    async def keep_house(self) -> None:
        """Do what the face has to do each second, for ever."""
        while True:
            await asyncio.sleep(HOUSEKEEPING_SECONDS)
            self.face.hub.housekeeping()

    def open_account(self, balance: Decimal) -> tuple[int, ApiKey]:
        """Create an account; return its number and key."""
        key = self.exchange.open_account(balance, (Permission.READ, Permission.TRADE))
        return key.uid, ApiKey(key.api_key, key.secret.decode())

    def uid_of_key(self, api_key: str) -> int | None:
        """Return whose key it is."""
        key = self.exchange.keys.find(api_key)
        return key.uid if key is not None else None

    def uid_of_listen_key(self, listen_key: str) -> int | None:
        """Return whose listen key it is."""
        return next((uid for uid, known in self.exchange.listen_keys.items() if known == listen_key), None)

    def hears(self, uid: int) -> bool:
        """Return whether the exchange tells an account anything."""
        return self.face.hub.has_listen_key(uid)

    def listens(self, uid: int) -> bool:
        """Return whether a stream of an account is open, and tells it something."""
        return self.hears(uid) and any(uid in session.uids for session in self.face.hub.sessions.open)

    def move(self, symbol: str, change: Decimal, *, jump: bool = False) -> None:
        """Move a price by a fraction of it."""
        self.prices[symbol] = self.on_grid(symbol, self.prices[symbol] * (1 + change))
        self.exchange.apply(MovePrice(symbol, self.prices[symbol], jump=jump))

    def on_grid(self, symbol: str, price: Decimal) -> Decimal:
        """Return the price of the symbol's grid at or below another."""
        tick = self.engine.instrument(symbol).tick_size
        return (price - price % tick).quantize(tick)

    def end_listen_key(self, uid: int) -> None:
        """End an account's listen key and tell nobody; its socket stays open."""
        self.face.hub.end_listen_keys(uid, announced=False)

    def fill_in_parts(self, symbol: str, parts: int) -> None:
        """Let orders fill in so many executions."""
        self.exchange.apply(SetFillParts(symbol, parts))

    def try_apply(self, operation: Operation) -> Result | None:
        """Apply what a person asks for; None if it is refused."""
        try:
            return self.exchange.apply(operation)
        except VenueRefusal:
            return None

    def held(self, uid: int, symbol: str) -> Decimal:
        """Return an account's position, signed."""
        return self.engine.positions(uid, symbol)[0].position.quantity


def _seeded_text(random: Random) -> Callable[[int], str]:
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    return lambda size: "".join(random.choices(letters, k=size * 4 // 3))


def _no_journal(error: Exception) -> None:
    raise error
