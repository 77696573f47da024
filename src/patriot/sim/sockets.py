"""What the WebSocket sides of all faces share: a session with its queue of outgoing frames, and the barrier."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiohttp import WSMessage, WSMsgType, web

CLOSE_SECONDS = 1.0  # for a client to answer our close
MAX_QUEUED = 200_000  # a client this far behind is cut off
MAX_FRAME_BYTES = 64 * 1024

OnText = Callable[[WSMessage], Coroutine[Any, Any, None]]


class Hub(Protocol):
    """What the control API needs of a face's sockets."""

    @property
    def open_sessions(self) -> int: ...

    async def barrier(self, timeout_seconds: float) -> bool:
        """Return whether every session has answered a ping behind everything that was queued on it."""
        ...

    def disconnect(self, uid: int | None) -> int:
        """Close every socket, or those of one account; return how many."""
        ...


@dataclass(eq=False, slots=True)
class Session:
    """One open socket, and what waits to be sent on it, in order: text (bytes), a ping (bytearray), the end (None)."""

    socket: web.WebSocketResponse
    address: str
    opened_at: float  # monotonic seconds
    queue: asyncio.Queue[bytes | bytearray | None] = field(default_factory=asyncio.Queue)
    pongs: dict[bytes, asyncio.Event] = field(default_factory=dict)
    ponged_at: float = 0.0
    close_code: int = 1000
    uids: set[int] = field(default_factory=set)  # the accounts whose private data it carries

    def put(self, item: bytes | bytearray | None) -> None:
        """Queue a frame; a client that is too far behind is cut off."""
        if self.queue.qsize() < MAX_QUEUED or item is None:
            self.queue.put_nowait(item)
        elif self.queue.qsize() == MAX_QUEUED:
            self.queue.put_nowait(None)

    def end(self, close_code: int = 1000) -> None:
        """Close the socket behind what is queued."""
        self.close_code = close_code
        self.put(None)


async def accept(request: web.Request) -> web.WebSocketResponse:
    """Answer the upgrade of one socket."""
    socket = web.WebSocketResponse(timeout=CLOSE_SECONDS, autoping=False, compress=False, max_msg_size=MAX_FRAME_BYTES)
    await socket.prepare(request)
    return socket


class Sessions:
    """The open sessions of one face: writes, pings, the barrier and the end."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self.open: set[Session] = set()
        self._monotonic = monotonic
        self._later: set[asyncio.TimerHandle] = set()
        self._barriers = 0

    @property
    def open_sessions(self) -> int:
        return len(self.open)

    async def run(self, session: Session, on_text: OnText) -> None:
        """Send and receive until the socket closes."""
        self.open.add(session)
        session.ponged_at = self._monotonic()
        writer = asyncio.create_task(_write(session))
        try:
            await self._read(session, on_text)
        finally:
            self.open.discard(session)
            for waiting in session.pongs.values():
                waiting.set()
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writer

    async def _read(self, session: Session, on_text: OnText) -> None:
        async for message in session.socket:
            if message.type is WSMsgType.PONG:
                session.ponged_at = self._monotonic()
                waiting = session.pongs.pop(bytes(message.data), None)
                if waiting is not None:
                    waiting.set()
                continue
            if message.type is WSMsgType.PING:
                await session.socket.pong(message.data)
            await on_text(message)

    def disconnect(self, uid: int | None) -> int:
        """Close every socket, or those of one account; return how many."""
        closing = [session for session in self.open if uid is None or uid in session.uids]
        for session in closing:
            session.end(1001)
        return len(closing)

    def call_later(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something later, unless everything has ended by then."""

        def run() -> None:
            self._later.discard(handle)
            action()

        handle = asyncio.get_running_loop().call_later(seconds, run)
        self._later.add(handle)

    def ping_all(self, mark: bytes) -> None:
        """Ping every session."""
        for session in self.open:
            session.put(bytearray(mark))

    async def barrier(self, timeout_seconds: float) -> bool:
        """Ping every session behind everything queued on it; return whether all answered in time.

        A client answers a ping after it has taken what came before, so that after a barrier nothing is on its way.
        """
        waiting: list[asyncio.Event] = []
        self._barriers += 1
        mark = b"barrier-%d" % self._barriers
        for session in tuple(self.open):
            session.pongs[mark] = event = asyncio.Event()
            session.put(bytearray(mark))
            waiting.append(event)
        try:
            async with asyncio.timeout(timeout_seconds):
                for event in waiting:
                    await event.wait()
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Close every socket."""
        for handle in self._later:
            handle.cancel()
        closing = (session.socket.close(code=1001, message=b"going away") for session in self.open)
        await asyncio.gather(*closing, return_exceptions=True)


async def _write(session: Session) -> None:
    socket = session.socket
    with contextlib.suppress(ConnectionError, RuntimeError):
        while (item := await session.queue.get()) is not None:
            if isinstance(item, bytearray):
                await socket.ping(bytes(item))
            else:
                await socket.send_frame(item, WSMsgType.TEXT)
        await socket.close(code=session.close_code)
