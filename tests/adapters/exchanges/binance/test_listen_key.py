"""The private stream against a scripted venue in virtual time: keys that end without a word, silence, nonsense."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import pytest
import structlog
from aiohttp import web

from patriot.accounts.ports import ApiKey
from patriot.adapters.exchanges.binance.budget import RateBudget
from patriot.adapters.exchanges.binance.session import BinanceSession
from patriot.adapters.exchanges.binance.signing import Signer
from patriot.adapters.exchanges.binance.venue import BinanceAccountSession
from patriot.simulation.loop import VirtualClock, run_virtually
from patriot.simulation.network import open_session
from patriot.trading.reports import PrivateReport, SettingsChanged, StreamLost, StreamResumed
from tests.simulation.test_network import serving

pytestmark = pytest.mark.unit
PLANTED = ("planted-key-of-a-client", "planted-secret-of-a-client", "key-1", "key-2")
LEVERAGE = '{"e":"ACCOUNT_CONFIG_UPDATE","E":1,"T":1,"ac":{"s":"BTCUSDT","l":100}}'


def no_listen_key() -> web.Response:
    return web.json_response({"code": -1125, "msg": "This listenKey does not exist."}, status=400)


class Venue:
    """A venue that gives listen keys and holds sockets open; `put` and `delete` are what it answers to these."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, float]] = []
        self.seen: list[str] = []  # what the wire carries
        self.sockets: list[web.WebSocketResponse] = []
        self.keys = 0
        self.active: str | None = None
        self.put: Callable[[], web.Response] = self.extend
        self.delete: Callable[[], web.Response] = self.end
        self.refuses_sockets = False
        self.refuses_key = False

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(f"{request.headers} {request.raw_path}")
        if request.path == "/private/ws":
            return await self.stream(request)
        if request.path == "/fapi/v1/time":
            return web.json_response({"serverTime": 1})
        self.asked.append((request.method, round(asyncio.get_running_loop().time())))
        if self.refuses_key:
            return web.json_response({"code": -2015, "msg": "Invalid API-key, IP, or permissions."}, status=401)
        match request.method:
            case "PUT":
                return self.put()
            case "DELETE":
                return self.delete()
            case _:
                if self.active is None:
                    self.keys += 1
                    self.active = f"key-{self.keys}"
                return web.json_response({"listenKey": self.active})

    def extend(self) -> web.Response:
        return no_listen_key() if self.active is None else web.json_response({"listenKey": self.active})

    def end(self) -> web.Response:
        ended, self.active = self.active, None
        return no_listen_key() if ended is None else web.json_response({})

    async def stream(self, request: web.Request) -> web.StreamResponse:
        if self.refuses_sockets:
            return web.Response(status=503)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.append(socket)
        async for _ in socket:
            pass
        return socket

    def methods(self) -> list[str]:
        return [method for method, _ in self.asked]


class Scene:
    """One account that listens to the venue."""

    def __init__(self, venue: Venue, account: BinanceAccountSession) -> None:
        self.venue = venue
        self.account = account.account
        self.counters = account.counters
        self.heard: list[tuple[PrivateReport, float]] = []

    async def listen(self) -> None:
        async with aclosing(self.account.stream.reports()) as reports:
            async for report in reports:
                self.heard.append((report, round(asyncio.get_running_loop().time())))

    def times(self, kind: type[PrivateReport]) -> list[float]:
        return [at for report, at in self.heard if isinstance(report, kind)]


def play(script: Callable[[Scene], Awaitable[None]]) -> Scene:
    async def run() -> Scene:
        venue, clock = Venue(), VirtualClock()
        async with serving(venue.answer) as url, open_session() as http:
            signer = Signer(ApiKey(*PLANTED[:2]))
            session = BinanceSession(url, url, http, signer, clock=clock, budget=RateBudget(clock))
            scene = Scene(venue, BinanceAccountSession.open(session))
            listening = asyncio.create_task(scene.listen())
            try:
                await asyncio.sleep(1)
                await script(scene)
            finally:
                listening.cancel()
                await asyncio.wait({listening})
            return scene

    return run_virtually(run())


def test_key_that_ended_without_a_word_is_missed_within_a_silent_minute() -> None:
    async def script(scene: Scene) -> None:
        scene.venue.active = None
        await asyncio.sleep(70)

    scene = play(script)
    assert scene.times(StreamResumed) == [0, 60]
    assert scene.venue.active == "key-2"
    assert scene.counters["exchange.stream_lost"] == 1


def test_extension_that_names_another_key_opens_the_stream_with_that() -> None:
    async def script(scene: Scene) -> None:
        scene.venue.active = "of-another-process"
        await asyncio.sleep(70)

    scene = play(script)
    assert scene.times(StreamResumed) == [0, 60]
    assert scene.venue.methods() == ["POST", "PUT", "POST"]


def test_stream_that_talks_is_extended_every_half_hour_only() -> None:
    async def script(scene: Scene) -> None:
        for _ in range(250):
            await scene.venue.sockets[0].send_str(LEVERAGE)
            await asyncio.sleep(10)

    scene = play(script)
    assert [at for method, at in scene.venue.asked if method == "PUT"] == [1_800]
    assert scene.times(StreamResumed) == [0]


@pytest.mark.parametrize("answer", [{"listenKey": "key-1"}, {}])
def test_silent_stream_whose_key_lives_stays_open(answer: dict[str, str]) -> None:
    async def script(scene: Scene) -> None:
        scene.venue.put = lambda: web.json_response(answer)
        await asyncio.sleep(3 * 60)

    scene = play(script)
    assert scene.times(StreamResumed) == [0]
    assert [at for method, at in scene.venue.asked if method == "PUT"] == [60, 120, 180]


def test_extension_without_a_clear_answer_is_tried_again_soon() -> None:
    async def script(scene: Scene) -> None:
        scene.venue.put = lambda: web.Response(status=502, text="<html>")
        await asyncio.sleep(84)

    scene = play(script)
    assert [at for method, at in scene.venue.asked if method == "PUT"] == [60, 70, 80]
    assert scene.times(StreamResumed) == [0]


def test_stream_opened_again_on_demand_has_a_new_key_at_once() -> None:
    async def script(scene: Scene) -> None:
        scene.account.reopen_stream("an order was not told")
        await asyncio.sleep(1)

    scene = play(script)
    assert scene.account.stream.last_problem == "an order was not told"
    assert scene.venue.methods() == ["POST", "DELETE", "POST"]
    assert scene.venue.active == "key-2"
    assert scene.times(StreamResumed) == [0, 1]


def test_key_that_the_venue_no_longer_has_need_not_be_deleted() -> None:
    async def script(scene: Scene) -> None:
        scene.venue.active = None
        scene.account.reopen_stream("an order was not told")
        await asyncio.sleep(1)

    scene = play(script)
    assert scene.venue.methods() == ["POST", "DELETE", "POST"]
    assert scene.venue.active == "key-2"
    assert scene.times(StreamResumed) == [0, 1]
    assert scene.times(StreamLost) == []


def test_key_that_was_opened_in_place_of_a_dead_one_is_not_deleted_when_its_socket_breaks() -> None:
    async def script(scene: Scene) -> None:
        scene.account.reopen_stream("an order was not told")
        await asyncio.sleep(1)
        await scene.venue.sockets[-1].close()
        await asyncio.sleep(10)

    scene = play(script)
    assert scene.venue.methods() == ["POST", "DELETE", "POST", "POST"]
    assert scene.venue.active == "key-2"


def test_refusal_of_the_deletion_that_does_not_speak_of_the_api_key_keeps_no_stream_closed() -> None:
    async def script(scene: Scene) -> None:
        scene.venue.delete = lambda: web.json_response({"code": -1020, "msg": "Not supported."}, status=400)
        scene.account.reopen_stream("an order was not told")
        await asyncio.sleep(1)

    scene = play(script)
    assert scene.venue.methods() == ["POST", "DELETE", "POST"]
    assert scene.times(StreamResumed) == [0, 1]


def test_listen_key_whose_deletion_has_no_clear_answer_is_deleted_before_another_is_asked_for() -> None:
    async def script(scene: Scene) -> None:
        scene.venue.delete = lambda: web.Response(status=502, text="<html>")
        scene.account.reopen_stream("an order was not told")
        await asyncio.sleep(1)
        scene.venue.delete, scene.venue.refuses_key = scene.venue.end, True
        await asyncio.sleep(30)
        scene.venue.refuses_key = False
        await asyncio.sleep(45)

    scene = play(script)
    assert scene.venue.methods()[-2:] == ["DELETE", "POST"]
    assert set(scene.venue.methods()[1:-1]) == {"DELETE"}
    assert {report.key_refused for report, _ in scene.heard if isinstance(report, StreamLost)} == {False, True}
    assert scene.venue.active == "key-2"


def test_silence_is_measured_from_the_last_message() -> None:
    silent: list[float] = []

    async def script(scene: Scene) -> None:
        await asyncio.sleep(20)
        silent.append(scene.account.silent_seconds())
        await scene.venue.sockets[0].send_str(LEVERAGE)
        await asyncio.sleep(5)
        silent.append(scene.account.silent_seconds())

    play(script)
    assert [round(seconds) for seconds in silent] == [21, 5]


def test_stream_that_cannot_be_opened_says_so_each_time() -> None:
    async def script(scene: Scene) -> None:
        scene.venue.refuses_sockets = True
        await scene.venue.sockets[0].close()
        await asyncio.sleep(20)
        scene.venue.refuses_sockets = False
        await asyncio.sleep(60)

    scene = play(script)
    assert len(scene.times(StreamLost)) >= 3
    assert len(scene.times(StreamResumed)) == 2


@pytest.mark.parametrize("nonsense", ["{", '{"e":"ORDER_TRADE_UPDATE"}', '{"e":"ALGO_UPDATE","T":1,"o":{}}', "[]"])
def test_message_that_cannot_be_read_is_a_gap(nonsense: str) -> None:
    async def script(scene: Scene) -> None:
        await scene.venue.sockets[0].send_str(nonsense)
        await asyncio.sleep(1)

    scene = play(script)
    assert scene.times(StreamResumed) == [0, 1]
    assert scene.counters["exchange.stream_unreadable"] == 1
    assert scene.venue.methods() == ["POST"]


MARGIN_TYPE = '{"e":"ACCOUNT_UPDATE","E":1,"T":1,"a":{"m":"MARGIN_TYPE_CHANGE","B":[],"P":[{"s":"ETHUSDT"}]}}'
MODE = '{"e":"ACCOUNT_CONFIG_UPDATE","E":1,"T":1,"ai":{"j":true}}'


@pytest.mark.parametrize(("message", "symbol"), [(LEVERAGE, "BTCUSDT"), (MARGIN_TYPE, "ETHUSDT"), (MODE, "")])
def test_settings_that_somebody_changed_are_told(message: str, symbol: str) -> None:
    async def script(scene: Scene) -> None:
        await scene.venue.sockets[0].send_str(message)
        await asyncio.sleep(1)

    told = [report for report, _ in play(script).heard if not isinstance(report, StreamResumed)]
    assert [(type(report), getattr(report, "symbol", None)) for report in told] == [(SettingsChanged, symbol)]


async def lose_everything(scene: Scene) -> None:
    """Lead the stream through each way in which it can fail."""
    await scene.venue.sockets[0].send_str('{"e":"ORDER_TRADE_UPDATE","o":"key-1 planted-key-of-a-client"}')
    scene.venue.active = None
    await asyncio.sleep(70)
    scene.venue.put = lambda: web.json_response({"code": -1125, "msg": "no planted-key-of-a-client"}, status=400)
    await asyncio.sleep(70)
    scene.venue.refuses_sockets = True
    scene.account.reopen_stream("an order was not told")
    await asyncio.sleep(70)


def test_no_failure_of_a_stream_shows_a_key() -> None:
    with structlog.testing.capture_logs() as lines:
        scene = play(lose_everything)

    shown = f"{lines} {scene.counters} {scene.account.stream.last_problem} {scene.heard} {scene.account.unknown_seen}"
    assert len(lines) > 3
    assert [one for one in PLANTED if one in shown] == []
    assert [one for one in PLANTED if one in f"{shown} {scene.venue.seen}"] == [PLANTED[0], *PLANTED[2:]], "it can find"


def test_line_that_was_well_comes_back_as_fast_as_the_first_time_however_often_it_was_lost() -> None:
    async def script(scene: Scene) -> None:
        for _ in range(8):
            await scene.venue.sockets[-1].send_str(LEVERAGE)
            await asyncio.sleep(0.1)
            opened = len(scene.venue.sockets)
            await scene.venue.sockets[-1].close()
            await asyncio.sleep(1)
            assert len(scene.venue.sockets) == opened + 1

    assert play(script).counters["exchange.stream_lost"] == 8


def test_line_that_is_lost_before_it_brings_anything_comes_back_later_each_time() -> None:
    async def script(scene: Scene) -> None:
        for _ in range(8):
            await scene.venue.sockets[-1].close()
            await asyncio.sleep(1)

    assert play(script).counters["exchange.stream_lost"] < 8


@pytest.mark.parametrize("about_key", [True, False])
def test_stream_that_cannot_be_opened_tells_whether_its_key_was_refused(*, about_key: bool) -> None:
    async def script(scene: Scene) -> None:
        scene.venue.refuses_key, scene.venue.refuses_sockets = about_key, not about_key
        await scene.venue.sockets[0].close()
        await asyncio.sleep(20)

    told = [report.key_refused for report, _ in play(script).heard if isinstance(report, StreamLost)]
    assert told
    assert set(told) == {about_key}
