"""What strategies need from the outside: a process to run in, and the bars of the past."""

from datetime import datetime
from decimal import Decimal
from typing import Protocol

from patriot.kernel.errors import PatriotError
from patriot.market.events import Bar
from patriot.trading.terms import Exchange


class RunnerBroken(PatriotError):
    """The runner ended, or its pipe did, or it said what no runner says. Start another one."""


class Runner(Protocol):
    """One running process of `strategies/runner.py`."""

    @property
    def pid(self) -> int:
        """Return its process id; 0 if it shares ours."""
        ...

    async def send(self, lines: bytes) -> None:
        """Hand over whole lines. Errors: RunnerBroken."""
        ...

    async def receive(self) -> bytes:
        """Return its next line. Errors: RunnerBroken when it has ended or its line does not end."""
        ...

    async def end(self) -> None:
        """End it now, whatever it is doing, and wait until it is gone; ending it twice is fine."""
        ...


class SpawnRunner(Protocol):
    """How a runner comes to life."""

    async def __call__(self) -> Runner:
        """Start a fresh runner. Errors: RunnerBroken if it cannot be started."""
        ...


class MarketPast(Protocol):
    """What a strategy must know of a market before its first live bar."""

    async def tick_size(self, exchange: Exchange, symbol: str) -> Decimal:
        """Return the price grid. Errors: NotFound for an unknown symbol; ExchangeError."""
        ...

    async def bars_since(self, exchange: Exchange, symbol: str, interval: str, opened_from: datetime) -> list[Bar]:
        """Return every closed bar that opened at or after a moment, ascending, without a gap. Errors: ExchangeError."""
        ...
