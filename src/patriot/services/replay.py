"""Drives a stepped simulator: moves the venue's clock only when everything that it set off has come to rest.

The wire has no acknowledgement, so quiet is found in two ways at once: the simulator's barrier (every stream has taken
all its messages) and the platform's own count of work under way.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import aiohttp
import msgspec

from patriot.kernel.clock import ReplayClock, from_epoch_ms, to_epoch_ms
from patriot.kernel.errors import PatriotError, StartupError
from patriot.kernel.money import plain
from patriot.services.sim_process import SimGone

QUIET_SECONDS = 120.0  # nothing on loopback takes that long: the replay is stuck, and says so
_POLL_SECONDS = 0.001


@dataclass(frozen=True, slots=True)
class Stepped:
    """How far a step came, and what stopped it."""

    now: datetime
    bars_played: int
    bars_left: int
    stopped_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SimHealth:
    """The venue's clock, its place in the recording (prices of the model never end), and its open streams."""

    now: datetime
    bars_played: int
    bars_left: int | None
    streams: int


@dataclass(frozen=True, slots=True)
class SimAccount:
    """A fresh account and its key."""

    uid: int
    api_key: str = field(repr=False)
    api_secret: str = field(repr=False)


class SimControl:
    """The simulator's control API."""

    def __init__(self, http: aiohttp.ClientSession, address: str, token: str) -> None:
        self._http = http
        self._address = address.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"}

    async def call(self, method: str, path: str, body: object = None) -> Any:
        """Send a request. Errors: StartupError with the simulator's own words; SimGone when it does not answer."""
        data = msgspec.json.encode(body) if body is not None else None
        try:
            async with self._http.request(method, self._address + path, data=data, headers=self._headers) as answer:
                text = await answer.read()
        except aiohttp.ClientError as error:
            raise SimGone(f"the simulator does not answer ({error})") from error
        if answer.status != 200:
            raise StartupError(f"the simulator refused {method} {path}: {text.decode(errors='replace')[:300]}")
        return msgspec.json.decode(text)

    async def step(self, until: datetime) -> Stepped:
        """Move the clock until something happens that someone must react to, or until a moment."""
        answer = await self.call("POST", "/clock", {"until_ms": to_epoch_ms(until), "stop_on_activity": True})
        return Stepped(
            now=from_epoch_ms(answer["now_ms"]),
            bars_played=answer["bars_played"],
            bars_left=answer["bars_left"],
            stopped_by=tuple(answer["stopped_by"]),
        )

    async def barrier(self) -> int:
        """Wait until every stream has taken what was sent to it; return the count of activity so far."""
        return int((await self.call("POST", "/barrier", {}))["activity"])

    async def health(self) -> "SimHealth":
        """Return where the recording stands."""
        answer = await self.call("GET", "/health")
        now = from_epoch_ms(answer["now_ms"])
        return SimHealth(now, answer["bars_played"], answer["bars_left"], answer["streams"])

    async def transfer(self, uid: int, amount: Decimal, info: str) -> None:
        """Move money into an account (positive) or out of it."""
        await self.call("POST", "/transfers", {"uid": uid, "amount": plain(amount), "info": info})

    async def open_account(self, balance: Decimal, permissions: tuple[str, ...]) -> "SimAccount":
        """Open an account with a key of these rights."""
        body = {"venue": "binance", "balance": plain(balance), "permissions": permissions}
        return msgspec.convert(await self.call("POST", "/accounts", body), SimAccount)

    async def state(self) -> Any:
        """Return what the venue knows, for a judge."""
        return await self.call("GET", "/state")


class StuckReplay(PatriotError):
    """Something never came to rest: the message says what."""


class Quiet:
    """Finds out when a platform and its simulator have come to rest."""

    def __init__(self, control: SimControl) -> None:
        self._control = control

    async def wait(self, **busy: Callable[[], object]) -> None:
        """Return when nothing is under way and a barrier changed nothing.

        Errors: StuckReplay, saying what is under way, after two minutes.
        """
        try:
            async with asyncio.timeout(QUIET_SECONDS):
                await self._wait(busy)
        except TimeoutError:
            waiting = ", ".join(f"{name}: {count()}" for name, count in busy.items() if count())
            waiting = waiting or "the exchange stays active"
            raise StuckReplay(f"no rest within {QUIET_SECONDS:.0f} s ({waiting})") from None

    async def _wait(self, busy: dict[str, Callable[[], object]]) -> None:
        activity = -1
        while True:
            await _until_idle(busy)
            reached = await self._control.barrier()
            if reached == activity and not any(count() for count in busy.values()):
                return
            activity = reached


async def _until_idle(busy: dict[str, Callable[[], object]]) -> None:
    calm = 0
    while calm < 2:
        calm = 0 if any(count() for count in busy.values()) else calm + 1
        await asyncio.sleep(_POLL_SECONDS if calm == 0 else 0)


class ReplayPace:
    """Time is the venue's. Bars wait until accounts are quiet; each signal is carried out before the next."""

    def __init__(self, clock: ReplayClock) -> None:
        self._clock = clock
        self._bars_may_pass = asyncio.Event()
        self.settled: Callable[[], Any] | None = None

    def venue_said(self, at: datetime) -> None:
        """Move the clock to the venue's time."""
        self._clock.move_to(at)

    async def before_bar(self) -> None:
        """Wait until what happened before the bar has been dealt with."""
        await self._bars_may_pass.wait()

    async def settle(self) -> None:
        """Wait until the accounts are quiet."""
        if self.settled is not None:
            await self.settled()

    def hold_bars(self) -> None:
        """Keep bars back until `pass_bars`."""
        self._bars_may_pass.clear()

    def pass_bars(self) -> None:
        """Let bars through."""
        self._bars_may_pass.set()
