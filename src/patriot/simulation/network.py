"""A network that is only memory: servers, connections and transports as asyncio knows them, with flow control.

Bytes arrive in order, after a delay, or not at all: what sits between the two ends of a line (`between`) decides that.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from contextvars import Context, copy_context
from itertools import count
from socket import AF_INET, IPPROTO_TCP, SOCK_STREAM, gaierror
from typing import TYPE_CHECKING, Any, Protocol

import aiohttp
from aiohttp.resolver import ThreadedResolver

if TYPE_CHECKING:
    from patriot.simulation.loop import Life, VirtualLoop

DELAY_SECONDS = 0.001  # one way
HIGH_WATER_BYTES, LOW_WATER_BYTES = 64 * 1024, 16 * 1024
PIECE_BYTES = 64 * 1024  # that a reader gets at once
LOCALHOST = "127.0.0.1"
NAMES = ("localhost", LOCALHOST)
_FIRST_FREE_PORT = 30_000


class Between(Protocol):
    """Who sits on a line. It gets all that is sent, and hands on what it likes with `Way.hand_on`."""

    def sent_up(self, data: bytes) -> None:
        """Take bytes from the client to the server."""
        ...

    def sent_down(self, data: bytes) -> None:
        """Take bytes from the server to the client."""
        ...


class Network:
    """One machine's loopback: ports by number."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._servers: dict[int, VirtualServer] = {}
        self._free_ports = count(_FIRST_FREE_PORT)
        self._client_ports = count(40_000)
        self.lines: dict[Line, None] = {}  # those that are open, the oldest first
        self.plugged: dict[Any, tuple[str, int]] = {}
        self.delay_seconds = DELAY_SECONDS
        self.between: Callable[[Line], Between | None] = lambda _line: None

    def addresses_of(self, host: object, port: object) -> list[Any]:
        """Return what the name of a host stands for. Errors: gaierror for any but this one."""
        if host not in NAMES:
            raise gaierror(f"no host is called {host}")
        return [(AF_INET, SOCK_STREAM, IPPROTO_TCP, "", (LOCALHOST, int(str(port))))]

    def listen(self, protocol_factory: Callable[[], asyncio.Protocol], host: object, port: int) -> VirtualServer:
        """Open a port; 0 takes a free one. Errors: OSError for one that is taken."""
        number = port or next(self._free_ports)
        if number in self._servers:
            raise OSError(98, f"port {number} is taken")
        server = VirtualServer(self, protocol_factory, str(host or LOCALHOST), number)
        self._servers[number] = server
        return server

    def close_port(self, port: int) -> None:
        """Take nobody any more on a port."""
        self._servers.pop(port, None)

    async def reach(self, host: str, port: int) -> VirtualServer:
        """Return who listens at an address, after the way there and back. Errors: ConnectionRefusedError."""
        await asyncio.sleep(2 * self.delay_seconds)
        server = self._servers.get(port)
        if host not in NAMES or server is None:
            raise ConnectionRefusedError(111, f"nobody listens on {host}:{port}")
        return server

    async def connect(
        self, protocol_factory: Callable[[], asyncio.Protocol], host: str, port: int, life: Life | None
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        """Open a line from the running process to a server. Errors: ConnectionRefusedError."""
        server = self._servers.get(port)
        if server is None:
            raise ConnectionRefusedError(111, f"nobody listens on {host}:{port}")
        here = (life.address if life is not None else LOCALHOST, next(self._client_ports))
        protocol = protocol_factory()
        line = Line(self, life, here, server.address)
        line.client.attach(protocol, copy_context())
        line.server.attach(server.protocol_factory(), server.context)
        self.lines[line] = None
        line.between = self.between(line)
        return line.client, protocol

    def hang_up(self, life: Life) -> None:
        """End the lines of a process that is no more; what it had sent still arrives."""
        for line in [line for line in self.lines if line.life is life]:
            line.client.vanish()


class VirtualServer:
    """A port that takes connections."""

    def __init__(
        self, network: Network, protocol_factory: Callable[[], asyncio.Protocol], host: str, port: int
    ) -> None:
        self._network = network
        self.protocol_factory = protocol_factory
        self.address = (host, port)
        self.context = copy_context()
        self._open = True

    @property
    def sockets(self) -> list[Any]:
        """Return what tells the address, as a server's sockets do."""
        return [_Named(self.address)] if self._open else []

    def close(self) -> None:
        if self._open:
            self._open = False
            self._network.close_port(self.address[1])

    def is_serving(self) -> bool:
        return self._open

    async def start_serving(self) -> None:
        """Do nothing: it serves from the start."""

    async def wait_closed(self) -> None:
        """Do nothing: lines end by themselves."""


class _Named:
    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address

    def getsockname(self) -> tuple[str, int]:
        return self._address


class Plug:
    """Stands for a socket until its line is open."""

    def setblocking(self, _blocking: bool) -> None:
        """Do nothing: nothing blocks here."""

    def close(self) -> None:
        """Do nothing: nothing was opened."""


def open_session() -> aiohttp.ClientSession:
    """Return an HTTP client, as services have it, that goes through the network of the running loop."""
    plugs: Any = lambda _address: Plug()  # noqa: E731  a socket factory, as aiohttp types it
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, resolver=ThreadedResolver(), socket_factory=plugs)
    )


class Line:
    """One connection: two ends, and a way in each direction."""

    def __init__(self, network: Network, life: Life | None, here: tuple[str, int], there: tuple[str, int]) -> None:
        loop = network._loop
        self.network = network
        self.life = life
        self.port = there[1]
        self.client = VirtualTransport(loop, here, there)
        self.server = VirtualTransport(loop, there, here)
        self.up = Way(loop, self.client, self.server, network.delay_seconds)
        self.down = Way(loop, self.server, self.client, network.delay_seconds)
        self.between: Between | None = None
        self.client.send = self._from_client
        self.server.send = self._from_server
        self.client.line = self.server.line = self

    def _from_client(self, data: bytes) -> None:
        if self.between is None:
            self.up.hand_on(data)
        else:
            self.between.sent_up(data)

    def _from_server(self, data: bytes) -> None:
        if self.between is None:
            self.down.hand_on(data)
        else:
            self.between.sent_down(data)

    def cut(self) -> None:
        """Break off: both ends see a connection that was reset; what was on its way is lost."""
        for way in (self.up, self.down):
            way.silent = True
        for end in (self.client, self.server):
            end.lose(ConnectionResetError(104, "connection reset by peer"))

    def fall_silent(self) -> None:
        """Carry nothing any more, and tell nobody."""
        self.up.silent = self.down.silent = True

    def ended(self) -> None:
        """Forget a line of which both ends are closed."""
        if self.client.lost and self.server.lost:
            self.network.lines.pop(self, None)


class Way:
    """One direction of a line. Bytes keep their order."""

    def __init__(self, loop: VirtualLoop, source: VirtualTransport, sink: VirtualTransport, delay: float) -> None:
        self._loop = loop
        self._source = source
        self._sink = sink
        self._free_at = 0.0
        self._on_its_way: deque[bytes | None] = deque()  # None: the end
        self.delay_seconds = delay
        self.silent = False
        source.way_out = self

    def hand_on(self, data: bytes, delay_seconds: float = 0.0) -> None:
        """Let bytes arrive, later by so much than they would."""
        self._later(delay_seconds, data)

    def end(self) -> None:
        """Let the end of what was sent arrive behind it."""
        self._later(0.0, None)

    def _later(self, delay_seconds: float, data: bytes | None) -> None:
        self._free_at = max(self._free_at, self._loop.elapsed + self.delay_seconds + delay_seconds)
        self._on_its_way.append(data)  # timers of one moment go off in any order
        self._loop.call_at(self._free_at, self._arrive, context=self._sink.context)

    def _arrive(self) -> None:
        data = self._on_its_way.popleft()
        if not self.silent:
            self._sink.receive(data)

    def taken(self, size: int) -> None:
        """Let the sender write on: bytes have been read."""
        self._source.drained(size)


class VirtualTransport(asyncio.Transport):
    """One end of a line."""

    line: Line
    way_out: Way
    send: Callable[[bytes], None]
    context: Context

    def __init__(self, loop: VirtualLoop, here: tuple[str, int], there: tuple[str, int]) -> None:
        super().__init__({"sockname": here, "peername": there})
        self._loop = loop
        self._protocol: asyncio.Protocol | None = None
        self._paused = False
        self._unread: deque[bytes | None] = deque()  # None: the end
        self._unsent_bytes = 0
        self._full = False
        self._high, self._low = HIGH_WATER_BYTES, LOW_WATER_BYTES
        self._closing = False
        self._ended = False
        self.lost = False

    def attach(self, protocol: asyncio.Protocol, context: Context) -> None:
        """Give this end its protocol, which runs as whoever opened it."""
        self._protocol, self.context = protocol, context
        context.copy().run(protocol.connection_made, self)

    @property
    def protocol(self) -> asyncio.Protocol:
        if self._protocol is None:
            raise RuntimeError("this end has no protocol yet")
        return self._protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        if not isinstance(protocol, asyncio.Protocol):
            raise TypeError(f"expected a protocol of streams, found {type(protocol).__name__}")
        self._protocol = protocol

    # Writing ----------------------------------------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not data or self._ended or self.lost or not self._lives():
            return
        whole = bytes(data)
        self._unsent_bytes += len(whole)
        for start in range(0, len(whole), PIECE_BYTES):
            self.send(whole[start : start + PIECE_BYTES])
        if self._unsent_bytes > self._high and not self._full:
            self._full = True
            self.protocol.pause_writing()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.write(b"".join(list_of_data))

    def drained(self, size: int) -> None:
        """Count what the other end has read."""
        self._unsent_bytes -= size
        if self._full and self._unsent_bytes <= self._low and not self.lost:
            self._full = False
            self._loop.call_soon(self._resume_writing, context=self.context)

    def _resume_writing(self) -> None:
        if not self._full and not self.lost:
            self.protocol.resume_writing()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = HIGH_WATER_BYTES if high is None else high
        self._low = self._high // 4 if low is None else low

    def get_write_buffer_size(self) -> int:
        return self._unsent_bytes

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low, self._high

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        if not self._ended and not self.lost and self._lives():
            self._ended = True
            self.way_out.end()

    def _lives(self) -> bool:
        """Tell whether the process of this end is still there; only a client belongs to one."""
        life = self.line.life
        return life is None or life.alive or self is not self.line.client

    # Reading ----------------------------------------------------------------------------------------------------------

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        if self._paused:
            self._paused = False
            self._loop.call_soon(self._read_on, context=self.context)

    def is_reading(self) -> bool:
        return not self._paused and not self._closing

    def receive(self, data: bytes | None) -> None:
        """Take bytes from the network, or None: the other end sends nothing more."""
        if self._closing:
            return
        if self._paused or self._unread:
            self._unread.append(data)
        else:
            self._take(data)

    def _read_on(self) -> None:
        while self._unread and not self._paused and not self._closing:
            self._take(self._unread.popleft())

    def _take(self, data: bytes | None) -> None:
        if data is not None:
            self._way_in.taken(len(data))
            self.protocol.data_received(data)
        elif not self.protocol.eof_received():
            self.close()

    @property
    def _way_in(self) -> Way:
        line = self.line
        return line.down if self is line.client else line.up

    # Ending -----------------------------------------------------------------------------------------------------------

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self.write_eof()
            self.lose(None)

    def abort(self) -> None:
        self.close()

    def vanish(self) -> None:
        """End with the process: its protocol is told only if the process ever wakes again."""
        if not self._ended:
            self._ended = True
            self.way_out.end()
        if not self._closing:
            self._closing = True
            self._loop.call_soon(self._tell_lost, ConnectionResetError(104, "process gone"), context=self.context)
        self.lost = True
        self.line.ended()

    def lose(self, error: Exception | None) -> None:
        """End, and tell the protocol why; None: as was wished."""
        if self._closing:
            return
        self._closing = self._ended = True
        self._loop.call_soon(self._tell_lost, error, context=self.context)

    def _tell_lost(self, error: Exception | None) -> None:
        self.lost = True
        self.protocol.connection_lost(error)
        self.line.ended()
