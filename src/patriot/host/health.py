"""What a running process tells about itself: `/health` (it lives), `/ready` (it can do its work), `/metrics`."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from patriot.kernel.errors import PatriotError, StartupError

HOST = "127.0.0.1"
CHECK_SECONDS = 2.0
SERVICE_UNAVAILABLE = 503

Check = Callable[[], Awaitable[str]]  # returns what is wrong, "" when nothing is
Figures = Callable[[], Awaitable[Mapping[str, Mapping[str, float]]]]  # gauge -> value of its label "of" -> figure


def health_app(service: str, checks: Mapping[str, Check], figures: Figures) -> FastAPI:
    """Return the application. `figures` is asked at each scrape; a gauge is named `patriot_<name>`."""
    app = FastAPI(title=f"PATRIOT {service}", docs_url=None, redoc_url=None, openapi_url=None)
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    gauges: dict[str, Gauge] = {}

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok", "service": service}

    @app.get("/ready")
    async def ready() -> JSONResponse:
        said = dict(zip(checks, await asyncio.gather(*(_ask(check) for check in checks.values())), strict=True))
        body = {"ready": not any(said.values()), "checks": {name: problem or "ok" for name, problem in said.items()}}
        return JSONResponse(body, 200 if body["ready"] else SERVICE_UNAVAILABLE)

    @app.get("/metrics")
    async def metrics() -> Response:
        for name, values in (await figures()).items():
            if name not in gauges:
                gauges[name] = Gauge(f"patriot_{name}", name.replace("_", " "), ["of"], registry=registry)
            for label, value in values.items():
                gauges[name].labels(label).set(value)
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return app


async def _ask(check: Check) -> str:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await check()
    except TimeoutError:
        return f"no answer within {CHECK_SECONDS:.0f} s"
    except PatriotError as error:
        return str(error)


def open_port(port: int, host: str = HOST) -> socket.socket:
    """Return a listening socket. Errors: StartupError saying which setting to change when the port is taken."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise StartupError(
            f"port {port} on {host} cannot be opened ({error.strerror}): stop what holds it, or set PATRIOT_PORT"
        ) from error
    return listening


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave Ctrl-C and SIGTERM to the command that runs us."""
        yield


async def serve_http(app: FastAPI, listening: socket.socket) -> None:
    """Serve until cancelled; requests under way are answered first."""
    server = _Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        await serving
        listening.close()
