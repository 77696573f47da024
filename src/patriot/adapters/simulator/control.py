"""The simulator's control API: its clock, its accounts, and what it knows of them."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import aiohttp
import msgspec

from patriot.kernel.clock import from_epoch_ms, to_epoch_ms
from patriot.kernel.errors import StartupError
from patriot.kernel.money import plain


class SimGone(StartupError):
    """The simulator ended, or does not answer any more."""


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
