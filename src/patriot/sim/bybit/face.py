"""The HTTP server side of the Bybit v5 face."""

from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from patriot.kernel.clock import Clock
from patriot.sim.exchange import Exchange
from patriot.sim.faults import Faults
from patriot.sim.sockets import Sessions
from patriot.sim.world import JournalLost

_ENCODE = msgspec.json.Encoder().encode


class BybitFace:
    """One application that serves REST and WebSocket of the venue on one port."""

    def __init__(
        self,
        exchange: Exchange,
        faults: Faults,
        clock: Clock,
        limits_on: bool,
        *,
        live: bool,
        on_lost_journal: Callable[[JournalLost], None],
    ) -> None:
        self.sessions = Sessions(clock.monotonic)
        self._exchange = exchange

    def application(self) -> web.Application:
        """Return the application with its routes."""
        app = web.Application()
        app.router.add_get("/v5/market/time", self._time)
        return app

    def housekeeping(self) -> None:
        """Do what is due once a second."""

    async def _time(self, _request: web.Request) -> web.Response:
        now_ms = self._exchange.now_ms
        result = {"timeSecond": str(now_ms // 1000), "timeNano": str(now_ms * 1_000_000)}
        return self._answer(result, now_ms)

    def _answer(self, result: dict[str, Any], now_ms: int) -> web.Response:
        body = {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": now_ms}
        return web.Response(body=_ENCODE(body), content_type="application/json")
