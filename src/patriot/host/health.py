"""What a running process tells about itself: `/health` (it lives), `/ready` (it can do its work), `/metrics`."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from patriot.kernel.errors import PatriotError, StartupError

HOST = "127.0.0.1"
CHECK_SECONDS = 2.0
SERVICE_UNAVAILABLE = 503

Check = Callable[[], Awaitable[str]]  # returns what is wrong, "" when nothing is
ByName = Mapping[str, Mapping[str, float]]  # name -> value of its label "of" -> figure
Figures = Callable[[], Awaitable[ByName]]  # what stands at this moment
Counts = Callable[[], ByName]  # what has happened since the start, and never falls while the process lives
Notes = Callable[[], Mapping[str, str]]  # what does not work, and keeps the process from nothing else


def health_app(
    service: str, checks: Mapping[str, Check], figures: Figures, counts: Counts = dict, notes: Notes = dict
) -> FastAPI:
    """Return the application. All is asked at each scrape; `patriot_<name>` is a gauge, `patriot_<name>_total` a count.

    `/ready` refuses for a check that is not content; notes it tells and is ready nonetheless.
    """
    app = FastAPI(title=f"PATRIOT {service}", docs_url=None, redoc_url=None, openapi_url=None)
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    registry.register(_Counted(counts))
    gauges: dict[str, Gauge] = {}

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok", "service": service}

    @app.get("/ready")
    async def ready() -> JSONResponse:
        said = dict(zip(checks, await asyncio.gather(*(_ask(check) for check in checks.values())), strict=True))
        told = {name: problem or "ok" for name, problem in said.items()}
        body = {"ready": not any(said.values()), "checks": told, "notes": dict(notes())}
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


class _Counted(Collector):
    """Counts that others keep, as the metrics show them."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        """Yield each count with its labels."""
        for name, values in self._counts().items():
            family = CounterMetricFamily(f"patriot_{name}", name.replace("_", " "), labels=["of"])
            for label, value in values.items():
                family.add_metric([label], value)
            yield family


async def _ask(check: Check) -> str:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await check()
    except TimeoutError:
        return f"no answer within {CHECK_SECONDS:.0f} s"
    except PatriotError as error:
        return str(error)


def open_port(port: int, chosen_by: str, host: str = HOST) -> socket.socket:
    """Return a listening socket. Errors: StartupError naming what chooses another port when this one is taken."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise StartupError(
            f"port {port} on {host} cannot be opened ({error.strerror}): stop what holds it, or change {chosen_by}"
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
