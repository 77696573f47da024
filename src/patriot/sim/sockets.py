"""What the WebSocket sides of all faces share: a session with its outgoing frames, the barrier, and socket limits.

A message is put on the wire once per event, not once per listener: whoever has many listeners builds the frame with
`text_frame` and hands the same bytes to every session with `put_frame`. A session's writer sends all that has come
together since it last ran in one write.
"""

import asyncio
import contextlib
import struct
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiohttp import WSMessage, WSMsgType, web
from aiohttp.abc import AbstractStreamWriter

CLOSE_SECONDS = 1.0  # for a client to answer our close
MAX_WAITING_BYTES = 64 * 1024 * 1024  # a client this far behind is cut off
MAX_FRAME_BYTES = 64 * 1024
BATCH_FRAMES = 512  # joined into one write
GOING_AWAY, POLICY_VIOLATION = 1001, 1008
_TEXT, _PING = 0x81, 0x89  # a whole message in one frame

OnText = Callable[[WSMessage], Coroutine[Any, Any, None]]


def text_frame(payload: bytes) -> bytes:
    """Return a text message as a server puts it on the wire: one unmasked frame.

    Source: RFC 6455, section 5.2.

    >>> text_frame(b"{}").hex()
    '81027b7d'
    """
    return _frame(_TEXT, payload)


def _frame(first: int, payload: bytes | bytearray) -> bytes:
    length = len(payload)
    if length < 126:
        return bytes((first, length)) + payload
    if length < 65_536:
        return struct.pack("!BBH", first, 126, length) + payload
    return struct.pack("!BBQ", first, 127, length) + payload


class Hub(Protocol):
    """What the control API needs of a face's sockets."""

    @property
    def open_sessions(self) -> int: ...

    async def barrier(self, timeout_seconds: float) -> bool:
        """Return whether every session has answered a ping behind everything that was queued on it."""
        ...

    def disconnect(self, uid: int | None, *, abrupt: bool = False) -> int:
        """Close every socket, or those of one account; return how many. An abrupt end is a cut line, without a word."""
        ...


class Socket(web.WebSocketResponse):
    """The server's end of a socket, which knows the connection below it."""

    async def prepare(self, request: Any) -> AbstractStreamWriter:
        """Answer the upgrade."""
        writer = await super().prepare(request)
        self.transport: asyncio.Transport | None = request.transport
        self.lower_writer: AbstractStreamWriter = request.writer
        return writer


@dataclass(eq=False, slots=True)
class Session:
    """One open socket, and the frames that wait to be sent on it, in order."""

    socket: Socket
    address: str
    opened_at: float  # monotonic seconds
    frames: list[bytes] = field(default_factory=list)
    waiting_bytes: int = 0  # in these frames
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    pongs: dict[bytes, asyncio.Event] = field(default_factory=dict)
    pinged: bytes | None = None  # what the newest ping carried
    ponged_at: float = 0.0
    ending: bool = False
    close_code: int = 1000
    close_reason: bytes = b""
    uids: set[int] = field(default_factory=set)  # the accounts whose private data it carries
    second: int = -1  # of the newest inbound frame
    received: int = 0  # inbound frames in that second

    def put(self, item: bytes | bytearray | None) -> None:
        """Queue a text message (bytes), a ping (bytearray), or the end (None)."""
        if item is None:
            self.end()
        elif isinstance(item, bytearray):
            self.pinged = bytes(item)
            self.put_frame(_frame(_PING, item))
        else:
            self.put_frame(_frame(_TEXT, item))

    def put_frame(self, frame: bytes) -> None:
        """Queue a frame that was built before; a client that is too far behind is cut off."""
        if self.ending:
            return
        self.frames.append(frame)
        self.waiting_bytes += len(frame)
        self.wake.set()
        if self.waiting_bytes > MAX_WAITING_BYTES:
            self.cut()

    def end(self, close_code: int = 1000, reason: bytes = b"") -> None:
        """Close the socket behind what is queued; what is put later is not sent."""
        if not self.ending:
            self.ending, self.close_code, self.close_reason = True, close_code, reason
            self.wake.set()

    def cut(self) -> None:
        """Break the line, with all that waits on it."""
        self.ending, self.waiting_bytes = True, 0
        self.frames.clear()
        self.wake.set()
        if self.socket.transport is not None:
            self.socket.transport.abort()

    def heard(self, now: float) -> int:
        """Count an inbound frame and return how many came in this second of monotonic time."""
        second = int(now)
        self.second, self.received = (second, self.received + 1) if second == self.second else (second, 1)
        return self.received


async def accept(request: web.Request) -> Socket:
    """Answer the upgrade of one socket."""
    socket = Socket(timeout=CLOSE_SECONDS, autoping=False, compress=False, max_msg_size=MAX_FRAME_BYTES)
    await socket.prepare(request)
    return socket


class Attempts:
    """How often each address has tried to connect: at most so many times in a sliding span of monotonic seconds."""

    def __init__(self, limit: int, span_seconds: float, monotonic: Callable[[], float]) -> None:
        self._limit = limit
        self._span_seconds = span_seconds
        self._monotonic = monotonic
        self._times: dict[str, deque[float]] = {}

    def allow(self, address: str) -> bool:
        """Count an attempt and return whether it is within the limit."""
        now = self._monotonic()
        times = self._times.setdefault(address, deque(maxlen=self._limit + 1))
        while times and now - times[0] >= self._span_seconds:
            times.popleft()
        times.append(now)
        return len(times) <= self._limit


class Sessions:
    """The open sessions of one face: writes, pings, the barrier and the end."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self.open: dict[Session, None] = {}  # the oldest first
        self._monotonic = monotonic
        self._later: set[asyncio.TimerHandle] = set()
        self._barriers = 0

    @property
    def open_sessions(self) -> int:
        return len(self.open)

    async def run(self, session: Session, on_text: OnText) -> None:
        """Send and receive until the socket closes."""
        self.open[session] = None
        session.ponged_at = self._monotonic()
        writer = asyncio.create_task(_write(session))
        try:
            await self._read(session, on_text)
        finally:
            self.open.pop(session, None)
            for waiting in session.pongs.values():
                waiting.set()
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writer

    async def _read(self, session: Session, on_text: OnText) -> None:
        async for message in session.socket:
            if message.type is WSMsgType.PONG:
                self._ponged(session, bytes(message.data))
                continue
            if message.type is WSMsgType.PING:
                await session.socket.pong(message.data)
            await on_text(message)

    def _ponged(self, session: Session, mark: bytes) -> None:
        waiting = session.pongs.pop(mark, None)
        if waiting is not None:
            waiting.set()
        if waiting is not None or mark == session.pinged:
            session.ponged_at = self._monotonic()

    def disconnect(self, uid: int | None, *, abrupt: bool = False) -> int:
        """Close every socket, or those of one account; return how many. An abrupt end is a cut line, without a word."""
        closing = [session for session in self.open if uid is None or uid in session.uids]
        for session in closing:
            if abrupt:
                session.cut()
            else:
                session.end(GOING_AWAY)
        return len(closing)

    def end_overdue(self, life_seconds: float, silence_seconds: float) -> None:
        """Close the sockets that have lived long enough, and those that have left pings unanswered for too long."""
        now = self._monotonic()
        for session in self.open:
            silent = now - session.ponged_at >= silence_seconds
            if silent and session.ending:  # our end waits behind what this client does not take
                session.cut()
            elif now - session.opened_at >= life_seconds:
                session.end(GOING_AWAY)
            elif silent:
                session.end(POLICY_VIOLATION, b"Pong timeout")

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
            session.put_frame(_frame(_PING, mark))
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
        sessions = tuple(self.open)
        closing = [
            asyncio.create_task(session.socket.close(code=GOING_AWAY, message=b"going away")) for session in sessions
        ]
        if closing:
            await asyncio.wait(closing, timeout=2 * CLOSE_SECONDS)
        for session in sessions:  # those that do not take our close
            session.cut()
        await asyncio.gather(*closing, return_exceptions=True)


async def _write(session: Session) -> None:
    """Send what is queued, all that has come together at once, as fast as the client takes it."""
    socket = session.socket
    with contextlib.suppress(ConnectionError, RuntimeError):
        while not session.ending or session.frames:
            await session.wake.wait()
            session.wake.clear()
            while session.frames:
                batch = session.frames[:BATCH_FRAMES]
                del session.frames[:BATCH_FRAMES]
                if socket.transport is None or socket.transport.is_closing():
                    return
                data = b"".join(batch)
                session.waiting_bytes -= len(data)
                socket.transport.write(data)
                await socket.lower_writer.drain()
        await socket.close(code=session.close_code, message=session.close_reason)
