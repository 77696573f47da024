"""An event loop on virtual time: it jumps to the next timer when nothing is ready, and its connections are memory.

A minute of waiting takes no time at all, and callbacks run in the order in which they became ready: the same program
gives the same run. There are no threads, no sockets and no wall time.
"""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from typing import Any, TypeVar, TypeVarTuple, Unpack

import aiohttp.connector
import aiohttp.web_app

from patriot.simulation.network import Network, VirtualServer

T = TypeVar("T")
START = datetime(2030, 1, 2, 12, tzinfo=UTC)
MOST_INSTANTS, TICK_SECONDS = 1_000, 1e-6  # turns of the loop at one moment; then time passes by so much
_PARTING_SECONDS = 60.0  # for what is still under way when a run ends


class Deadlock(RuntimeError):
    """Every task waits, and no timer will ever wake one."""


class Life:
    """What a process is to the loop: as soon as it is over, nothing of it runs any more, not even a `finally`."""

    def __init__(self, name: str, address: str = "127.0.0.1") -> None:
        self.name = name
        self.address = address
        self.alive = True
        self.frozen: list[asyncio.Handle] = []


LIFE: ContextVar[Life | None] = ContextVar("life", default=None)


class _Jump:
    """Stands where a selector would: there are no sockets, so the only event is that time has passed."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._instants = 0

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise Deadlock("no timer is set and nothing is ready")
        self._instants = 0 if timeout else self._instants + 1
        # A real clock moves while something is done: who waits for the rest of a rounding error is not there for ever.
        self._loop.elapsed += timeout if self._instants < MOST_INSTANTS else TICK_SECONDS
        return []


class _NumberedTask(asyncio.Task[T]):
    """A task whose place in a set follows from its number: by its address, task groups would end in any order."""

    def __init__(self, work: Any, loop: VirtualLoop, **options: Any) -> None:
        self._number = next(loop.numbers)
        super().__init__(work, loop=loop, **options)

    @classmethod
    def made(cls, loop: Any, work: Any, **options: Any) -> _NumberedTask[Any]:
        """Return a task of a loop."""
        return cls(work, loop, **options)

    def __hash__(self) -> int:
        return self._number


Ts = TypeVarTuple("Ts")


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs the tasks of many processes, each with a life of its own."""

    _ready: deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]

    def __init__(self) -> None:
        super().__init__()
        self.elapsed = 0.0
        self.network = Network(self)
        self.numbers = count()
        self.set_task_factory(_NumberedTask.made)
        self._selector = _Jump(self)
        self._over: list[Life] = []

    def time(self) -> float:
        return self.elapsed

    def _process_events(self, event_list: list[Any]) -> None:
        """Do nothing: there are no sockets."""

    def _write_to_self(self) -> None:
        """Do nothing: there are no other threads."""

    # Lives ------------------------------------------------------------------------------------------------------------

    def end(self, life: Life) -> None:
        """Let a process stop between two instructions, as a kill does; its connections end."""
        if not life.alive:
            return
        life.alive = False
        self._over.append(life)
        for handle in self._ready:
            if _belongs_to(handle, life):
                life.frozen.append(_copy(handle, self))
                handle.cancel()
        for timer in self._scheduled:
            if _belongs_to(timer, life):
                timer.cancel()
        self.network.hang_up(life)

    def call_soon(
        self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        if self._over:
            life = LIFE.get() if context is None else context.get(LIFE)
            if life is not None and not life.alive:
                handle = asyncio.Handle(callback, args, self, context)
                life.frozen.append(handle)
                return handle
        return super().call_soon(callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        if self._over:
            life = LIFE.get() if context is None else context.get(LIFE)
            if life is not None and not life.alive:
                return asyncio.TimerHandle(when, callback, args, self, context)  # never runs
        return super().call_at(when, callback, *args, context=context)

    def thaw(self) -> None:
        """Let what was left of dead processes run out: only a finished run may, when nobody looks any more."""
        for life in self._over:
            life.alive = True
            for handle in life.frozen:
                if not handle.cancelled():
                    super().call_soon(handle._callback, *handle._args, context=handle._context)  # type: ignore[attr-defined]
        self._over.clear()

    # Connections ------------------------------------------------------------------------------------------------------

    async def create_server(  # type: ignore[override]
        self, protocol_factory: Callable[[], asyncio.Protocol], host: Any = None, port: int = 0, **_options: Any
    ) -> VirtualServer:
        return self.network.listen(protocol_factory, host, port)

    async def create_connection(  # type: ignore[override]
        self,
        protocol_factory: Callable[[], asyncio.Protocol],
        host: str | None = None,
        port: int | None = None,
        *,
        sock: Any = None,
        **_options: Any,
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        if sock is not None:
            host, port = self.network.plugged.pop(sock)
            sock.close()
        if host is None or port is None:
            raise ValueError("expected an address, found none")
        return await self.network.connect(protocol_factory, host, port, LIFE.get())

    async def sock_connect(self, sock: Any, address: Any) -> None:
        """Take note where a socket is meant to go: it is never opened, and names the connection that comes next."""
        await self.network.reach(address[0], address[1])
        self.network.plugged[sock] = (address[0], address[1])

    async def getaddrinfo(self, host: Any, port: Any, **_options: Any) -> list[Any]:
        return self.network.addresses_of(host, port)


def _belongs_to(handle: asyncio.Handle, life: Life) -> bool:
    context: Context = handle._context  # type: ignore[attr-defined]
    return not handle.cancelled() and context.get(LIFE) is life


def _copy(handle: asyncio.Handle, loop: VirtualLoop) -> asyncio.Handle:
    context: Context = handle._context  # type: ignore[attr-defined]
    callback, args = handle._callback, handle._args  # type: ignore[attr-defined]
    return asyncio.Handle(callback, args, loop, context)


class VirtualClock:
    """A `Clock` over the running loop: the world starts at START and both times move together."""

    def now(self) -> datetime:
        return START + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


def run_virtually(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end in virtual time; what is left of it then is cancelled. Errors: Deadlock."""
    loop = VirtualLoop()
    with _only_virtual_time(loop):
        task = loop.create_task(work)
        try:
            return loop.run_until_complete(task)
        finally:
            with _without_words_of_the_dead():
                loop.run_until_complete(_end_all(loop))
                loop.close()
                _forget_servers()
                del task
                gc.collect()


@contextmanager
def _without_words_of_the_dead() -> Iterator[None]:
    """Hear no warning of what dead processes left open or unbegun: nobody was there to end it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        warnings.filterwarnings("ignore", ".* was never awaited", RuntimeWarning)
        yield


def _forget_servers() -> None:
    """Empty the one cache in aiohttp that holds servers: by theirs, the newest hundreds of worlds would live on."""
    web_app: Any = aiohttp.web_app
    web_app._cached_build_middleware.cache_clear()


async def _end_all(loop: VirtualLoop) -> None:
    loop.thaw()
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if left:
        _, stubborn = await asyncio.wait(left, timeout=_PARTING_SECONDS)
        for task in stubborn:
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # the judge has named it
    await loop.shutdown_asyncgens()


@contextmanager
def _only_virtual_time(loop: VirtualLoop) -> Iterator[None]:
    """Let the one place in aiohttp that reads the machine's clock, its pool of connections, read the loop's.

    Garbage is collected after a run: in the middle of one, its moment would depend on what ran before.
    """
    pool: Any = aiohttp.connector
    real, collecting = pool.monotonic, gc.isenabled()
    pool.monotonic = loop.time
    gc.disable()
    with _without_words_of_the_dead():
        gc.collect()  # what the run before left when it returned, else it would be frozen with the rest
    gc.freeze()
    try:
        yield
    finally:
        pool.monotonic = real
        gc.unfreeze()
        if collecting:
            gc.enable()


def seeded(seed: int, *names: object) -> Random:
    """Return the chance of one thing in a run: what others draw does not move it."""
    return Random(f"{seed}:{':'.join(map(str, names))}")
