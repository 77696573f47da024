import asyncio
import socket
from collections.abc import Mapping

import httpx
import pytest

from patriot.host.health import health_app, open_port, serve_http
from patriot.kernel.errors import StartupError, StoreUnavailable

pytestmark = pytest.mark.integration


async def fine() -> str:
    return ""


async def behind() -> str:
    return "orders is 2000 events behind"


async def away() -> str:
    raise StoreUnavailable("PostgreSQL cannot be reached")


async def silent() -> str:
    await asyncio.Event().wait()
    return ""


async def figures() -> Mapping[str, Mapping[str, float]]:
    return {"tail_lag_events": {"orders": 3.0}}


def client(**checks: object) -> httpx.AsyncClient:
    app = health_app("orders", checks, figures)  # type: ignore[arg-type]  # each is one of the checks above
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://patriot")


async def test_health_of_a_process_that_is_not_ready_is_ok() -> None:
    async with client(database=away) as asked:
        answer = await asked.get("/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "service": "orders"})


async def test_ready_when_every_check_is_content() -> None:
    async with client(database=fine, tails=fine) as asked:
        answer = await asked.get("/ready")
    in_order = {"ready": True, "checks": {"database": "ok", "tails": "ok"}, "notes": {}}
    assert (answer.status_code, answer.json()) == (200, in_order)


async def test_ready_says_which_check_is_not_content() -> None:
    async with client(database=away, tails=behind, started=fine) as asked:
        answer = await asked.get("/ready")
    assert answer.status_code == 503
    assert answer.json()["checks"] == {
        "database": "PostgreSQL cannot be reached",
        "tails": "orders is 2000 events behind",
        "started": "ok",
    }


async def test_check_that_never_answers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("patriot.host.health.CHECK_SECONDS", 0.01)
    async with client(exchange=silent) as asked:
        answer = await asked.get("/ready")
    assert answer.status_code == 503
    assert answer.json()["checks"]["exchange"].startswith("no answer within")


async def test_metrics_have_the_figures_of_this_moment_and_the_process() -> None:
    async with client() as asked:
        text = (await asked.get("/metrics")).text
    assert 'patriot_tail_lag_events{of="orders"} 3.0' in text
    assert "process_resident_memory_bytes" in text


def test_taken_port_is_refused_in_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StartupError, match=rf"port {port} on 127\.0\.0\.1 cannot be opened .* change PATRIOT_PORT"):
            open_port(port, "PATRIOT_PORT")


async def test_server_ends_when_it_is_cancelled_and_gives_its_port_back() -> None:
    listening = open_port(0, "PATRIOT_PORT")
    port = listening.getsockname()[1]
    serving = asyncio.create_task(serve_http(health_app("orders", {}, figures), listening))
    async with httpx.AsyncClient() as asked:
        answer = None
        while answer is None:
            await asyncio.sleep(0)
            try:
                answer = await asked.get(f"http://127.0.0.1:{port}/health", timeout=5)
            except httpx.ConnectError:
                continue
    assert answer.status_code == 200
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    open_port(port, "PATRIOT_PORT").close()
