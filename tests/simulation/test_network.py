"""The virtual network carries what real programs say: aiohttp's client, server and WebSockets, as they are."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from patriot.simulation.loop import LIFE, Deadlock, Life, VirtualClock, VirtualLoop, run_virtually
from patriot.simulation.network import HIGH_WATER_BYTES, LOCALHOST, Line, open_session
from tests.simulation.support import start_in

pytestmark = pytest.mark.unit

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """Give the address of a server that answers everything with one handler."""
    app = web.Application(client_max_size=2**26)
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, LOCALHOST, 0).start()
    try:
        yield f"http://{LOCALHOST}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def echo(request: web.Request) -> web.Response:
    return web.Response(body=await request.read(), headers={"X-Path": request.raw_path})


async def echo_socket(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_str(f"heard {message.data}")
    return socket


def the_loop() -> VirtualLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop


def test_request_comes_back_with_its_answer() -> None:
    async def run() -> tuple[int, bytes, str]:
        async with serving(echo) as url, open_session() as http, http.post(f"{url}/a?b=c", data=b"money") as answer:
            return answer.status, await answer.read(), answer.headers["X-Path"]

    assert run_virtually(run()) == (200, b"money", "/a?b=c")


def test_name_of_this_machine_is_found_and_no_other() -> None:
    async def run() -> int:
        async with serving(echo) as url, open_session() as http:
            port = url.rpartition(":")[2]
            async with http.get(f"http://localhost:{port}/") as answer:
                assert answer.status == 200
            with pytest.raises(aiohttp.ClientConnectorDNSError):
                await http.get("http://elsewhere.example/")
            return answer.status

    assert run_virtually(run()) == 200


def test_connection_is_used_again_and_takes_time() -> None:
    async def run() -> tuple[int, float]:
        async with serving(echo) as url, open_session() as http:
            the_loop().network.delay_seconds = 0.01
            for _ in range(10):
                async with http.get(url) as answer:
                    await answer.read()
            return len(the_loop().network.lines), the_loop().time()

    lines, seconds = run_virtually(run())
    assert lines == 1
    assert seconds == pytest.approx(0.02 + 10 * 0.02)


def test_body_larger_than_any_buffer_arrives_whole() -> None:
    body = bytes(range(256)) * 4_000

    async def run() -> bytes:
        async with serving(echo) as url, open_session() as http, http.post(url, data=body) as answer:
            return await answer.read()

    assert run_virtually(run()) == body


def test_writer_is_held_back_by_a_reader_that_does_not_read() -> None:
    async def run() -> tuple[bool, int]:
        taken = asyncio.Event()

        async def slow(request: web.Request) -> web.Response:
            await taken.wait()
            return web.Response(text=str(len(await request.read())))

        async with serving(slow) as url:
            reader, writer = await asyncio.open_connection(LOCALHOST, int(url.rpartition(":")[2]))
            size = 50 * HIGH_WATER_BYTES
            writer.write(f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode() + b"x" * size)
            draining = asyncio.create_task(writer.drain())
            await asyncio.sleep(1)
            held = not draining.done()
            taken.set()
            answer = await reader.readuntil(b"\r\n")
            writer.close()
            await asyncio.gather(draining, return_exceptions=True)
            return held, int(answer.split()[1])

    assert run_virtually(run()) == (True, 200)


def test_websocket_talks_both_ways_and_closes() -> None:
    async def run() -> tuple[str, WSMsgType]:
        async with serving(echo_socket) as url, open_session() as http, http.ws_connect(url) as socket:
            await socket.send_str("buy")
            heard = await socket.receive_str()
            await socket.close()
            return heard, (await socket.receive()).type

    assert run_virtually(run()) == ("heard buy", WSMsgType.CLOSED)


def test_nobody_listens_is_a_connection_that_was_never_made() -> None:
    async def run() -> None:
        async with open_session() as http:
            with pytest.raises(aiohttp.ClientConnectorError):
                await http.get(f"http://{LOCALHOST}:9/")

    run_virtually(run())


def test_taken_port_is_refused_and_a_closed_one_is_free_again() -> None:
    async def run() -> bool:
        loop = the_loop()
        first = await loop.create_server(asyncio.Protocol, LOCALHOST, 7000)
        with pytest.raises(OSError, match="taken"):
            await loop.create_server(asyncio.Protocol, LOCALHOST, 7000)
        first.close()
        return (await loop.create_server(asyncio.Protocol, LOCALHOST, 7000)).is_serving()

    assert run_virtually(run())


def test_cut_line_is_a_lost_answer() -> None:
    async def run() -> None:
        async def cutting(_request: web.Request) -> web.Response:
            for line in [*the_loop().network.lines]:
                line.cut()
            return web.Response()

        async with serving(cutting) as url, open_session() as http:
            with pytest.raises(aiohttp.ClientError):
                await http.post(url, data=b"x")

    run_virtually(run())


def test_silent_line_tells_nobody() -> None:
    async def run() -> float:
        def silence(line: Line) -> None:
            line.fall_silent()

        async with serving(echo) as url, open_session() as http:
            the_loop().network.between = silence
            with pytest.raises(TimeoutError):
                await http.get(url, timeout=aiohttp.ClientTimeout(total=4))
            return the_loop().time()

    assert run_virtually(run()) == pytest.approx(4, abs=1)


def test_idle_connection_ages_by_virtual_time() -> None:
    async def run() -> int:
        async with serving(echo) as url, open_session() as http:
            for _ in range(2):
                async with http.get(url) as answer:
                    await answer.read()
                await asyncio.sleep(40)  # longer than the pool of the client keeps a connection
            return len(the_loop().network.lines)

    assert run_virtually(run()) == 0


def test_minute_of_waiting_takes_no_time_and_a_wait_for_nothing_is_seen() -> None:
    async def run() -> float:
        await asyncio.sleep(60)
        return VirtualClock().monotonic()

    assert run_virtually(run()) == 60
    with pytest.raises(Deadlock):
        run_virtually(asyncio.Event().wait())


# Lives ----------------------------------------------------------------------------------------------------------------


def test_killed_process_does_nothing_more_not_even_its_last_wishes() -> None:
    done: list[str] = []

    async def work(url: str) -> None:
        try:
            async with open_session() as http:
                while True:
                    async with http.get(url) as answer:
                        await answer.read()
                    done.append("request")
                    await asyncio.sleep(1)
        finally:
            done.append("last wish")

    async def run() -> tuple[list[str], int]:
        async with serving(echo) as url:
            life = Life("doomed")
            start_in(life, work(url))
            await asyncio.sleep(3.5)
            the_loop().end(life)
            await asyncio.sleep(10)
            return list(done), len(the_loop().network.lines)

    assert run_virtually(run()) == (["request"] * 4, 0)


def test_what_a_process_sent_before_it_was_killed_arrives() -> None:
    async def run() -> list[bytes]:
        heard: list[bytes] = []

        async def note(request: web.Request) -> web.Response:
            heard.append(await request.read())
            return web.Response()

        async def work(url: str) -> None:
            async with open_session() as http:
                await http.post(url, data=b"order")
            heard.append(b"answer")

        async with serving(note) as url:
            life = Life("doomed")
            start_in(life, work(url))
            await asyncio.sleep(0.0025)  # the line is open, the request is on its way
            the_loop().end(life)
            await asyncio.sleep(5)
        return heard

    assert run_virtually(run()) == [b"order"]


def test_process_that_kills_itself_stops_at_its_next_wait() -> None:
    done: list[str] = []

    async def work() -> None:
        life = LIFE.get()
        assert life is not None
        the_loop().end(life)
        done.append("the rest of the step")
        await asyncio.sleep(0)
        done.append("another step")

    async def run() -> None:
        start_in(Life("doomed"), work())
        await asyncio.sleep(1)
        assert done == ["the rest of the step"]

    run_virtually(run())


def test_same_program_gives_the_same_times() -> None:
    def times() -> list[float]:
        async def run() -> list[float]:
            seen: list[float] = []

            async def ask(http: aiohttp.ClientSession, url: str, number: int) -> None:
                async with http.post(url, data=b"x" * number * 1_000) as answer:
                    await answer.read()
                seen.append(the_loop().time())

            async with serving(echo) as url, open_session() as http:
                await asyncio.gather(*(ask(http, url, number) for number in range(40)))
            return seen

        return run_virtually(run())

    assert times() == times()
