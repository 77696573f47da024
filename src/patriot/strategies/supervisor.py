"""Keep one strategy's runner alive: start it, ask it bar by bar, end it when it hangs, start it again.

A new runner is given every bar of the history, so it knows what the old one knew; the interrupted bar is asked again.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from patriot.kernel.clock import Clock
from patriot.kernel.errors import PatriotError
from patriot.market.events import Bar
from patriot.strategies.interface import StrategySpec, Wish
from patriot.strategies.ports import Runner, RunnerBroken, SpawnRunner
from patriot.strategies.protocol import ANSWERS, Answer, Configuration, NextBar, lines_of


class RunnerFailed(PatriotError):
    """A runner did not answer for a bar, however often it was started again. The next bar starts it once more."""


@dataclass(frozen=True, slots=True)
class Incident:
    """What went wrong with one strategy, for the operator."""

    strategy_id: str
    problem: str
    at: datetime


Report = Callable[[Incident], None]


@dataclass(frozen=True, slots=True)
class RunnerPatience:
    """How long a runner may think, and how it is started again. Units: seconds."""

    answer: float = 10.0  # one answer; also the first one, with the whole history
    grace: float = 2.0  # how long the signals of other strategies wait for a slow one, to be recorded in order
    first_backoff: float = 0.1  # doubles with every failure in a row
    longest_backoff: float = 5.0
    attempts: int = 4  # per bar

    def backoff(self, failures: int) -> float:
        """Return how long to wait after some failures in a row."""
        return min(self.first_backoff * 2.0 ** min(failures - 1, 30), self.longest_backoff)


PATIENCE = RunnerPatience()


class RunnerSupervisor:
    """One strategy and the runner that it has at the moment. One call at a time; only `close` may interrupt another."""

    def __init__(self, spawn: SpawnRunner, clock: Clock, report: Report, patience: RunnerPatience = PATIENCE) -> None:
        self._spawn = spawn
        self._clock = clock
        self._report = report
        self._patience = patience
        self._spec: StrategySpec | None = None
        self._history: list[Bar] = []
        self._runner: Runner | None = None
        self._failures = 0  # in a row
        self._closed = False
        self.wishes: list[Wish] = []  # at the newest bar

    @property
    def pid(self) -> int | None:
        """Return the process id of the runner of this moment."""
        return None if self._runner is None else self._runner.pid

    @property
    def newest(self) -> Bar | None:
        """Return the last bar that was taken in."""
        return self._history[-1] if self._history else None

    async def start(self, spec: StrategySpec, history: Sequence[Bar]) -> list[Wish]:
        """Start the strategy; return its wishes at the last bar of its history. Errors: RunnerFailed."""
        self._spec, self._history = spec, list(history)
        self.wishes = await self._ask(None)
        return self.wishes

    async def on_bar(self, bar: Bar) -> list[Wish]:
        """Return the wishes at the close of a bar; the newest bar may be asked again, an older one gives nothing.

        Errors: RunnerFailed after all attempts; the bar still counts as history.
        """
        newest = self.newest
        if newest is not None and bar.closed_at <= newest.closed_at:
            return self.wishes if bar.closed_at == newest.closed_at else []
        self.wishes = []
        try:
            self.wishes = await self._ask(bar)
        finally:
            self._history.append(bar)
        return self.wishes

    async def close(self) -> None:
        """End the runner, whatever it is doing, for good."""
        self._closed = True
        await self._end()

    async def _ask(self, bar: Bar | None) -> list[Wish]:
        for attempt in range(1, self._patience.attempts + 1):
            if self._failures:
                await asyncio.sleep(self._patience.backoff(self._failures))
            if self._closed:
                raise RunnerFailed("closed")
            try:
                async with asyncio.timeout(self._patience.answer):
                    wishes = await self._exchange(bar)
            except TimeoutError:
                self._failed(attempt, f"no answer within {self._patience.answer:g} s")
            except RunnerBroken as error:
                self._failed(attempt, str(error))
            else:
                self._failures = 0
                return wishes
        raise RunnerFailed(f"no answer in {self._patience.attempts} attempts")

    def _failed(self, attempt: int, problem: str) -> None:
        self._failures += 1
        if not self._closed:
            name = self._spec.strategy_id if self._spec else ""
            self._report(Incident(name, f"runner, attempt {attempt}: {problem}", self._clock.now()))

    async def _exchange(self, bar: Bar | None) -> list[Wish]:
        answered = False
        try:
            wishes = [] if self._runner else await self._launch()
            if bar is not None:
                wishes = await self._say([NextBar(bar)], bar.closed_at)
            answered = True
            return wishes
        finally:
            if not answered:  # also when canceled: an answer that comes later must not be taken for another bar's
                await self._end()

    async def _launch(self) -> list[Wish]:
        assert self._spec is not None  # noqa: S101  start() comes first
        self._runner = await self._spawn()
        if self._closed:
            raise RunnerBroken("closed")
        messages: list[Configuration | NextBar] = [Configuration(self._spec, len(self._history))]
        messages += [NextBar(bar) for bar in self._history]
        return await self._say(messages, self.newest.closed_at if self.newest else None)

    async def _say(self, messages: Sequence[Configuration | NextBar], expected: datetime | None) -> list[Wish]:
        assert self._runner is not None  # noqa: S101  launched by the caller
        await self._runner.send(lines_of(messages))
        answer = _parse(await self._runner.receive())
        if answer.error is not None:
            raise RunnerBroken(answer.error)
        if answer.bar_closed_at != expected or len(answer.wishes) > 1:
            raise RunnerBroken(f"expected one answer for the bar of {expected}, found {answer.bar_closed_at}")
        return answer.wishes

    async def _end(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.end()


def _parse(line: bytes) -> Answer:
    try:
        return ANSWERS.decode(line)
    except msgspec.MsgspecError as error:
        raise RunnerBroken(f"expected an answer, found {line[:80]!r}") from error
