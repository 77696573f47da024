"""Faults over HTTP: POST, GET and DELETE /faults, DELETE /faults/{id}. Shapes: wishes.FaultWish."""

from aiohttp import web

from patriot.kernel.errors import InvalidInput
from patriot.sim.control.answers import body_of, json_answer
from patriot.sim.faults.desk import FaultDesk
from patriot.sim.faults.wishes import FaultWish


class FaultApi:
    """The routes of the faults."""

    def __init__(self, desk: FaultDesk) -> None:
        self._desk = desk

    def add_routes(self, app: web.Application) -> None:
        app.router.add_post("/faults", self._add)
        app.router.add_get("/faults", self._list)
        app.router.add_delete("/faults", self._clear)
        app.router.add_delete("/faults/{id}", self._remove)

    async def _add(self, request: web.Request) -> web.Response:
        fault_id = self._desk.apply(await body_of(request, FaultWish))
        return json_answer(next(row for row in self._desk.listed() if row["id"] == fault_id))

    async def _list(self, _request: web.Request) -> web.Response:
        return json_answer({"faults": self._desk.listed()})

    async def _clear(self, _request: web.Request) -> web.Response:
        self._desk.clear()
        return json_answer({})

    async def _remove(self, request: web.Request) -> web.Response:
        text = request.match_info["id"]
        if not (text.isascii() and text.isdigit() and len(text) <= 18):
            raise InvalidInput("id", f"expected the number of a fault, found {text[:40]!r}")
        self._desk.remove(int(text))
        return json_answer({})
