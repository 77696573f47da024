"""The log tells what failed and where, and never what was in the hands of the code that failed."""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import msgspec
import pytest
import structlog

from patriot.accounts.ports import ApiKey
from patriot.adapters.exchanges.binance.budget import RateBudget
from patriot.adapters.exchanges.binance.session import BinanceSession
from patriot.adapters.exchanges.binance.signing import Signer
from patriot.adapters.exchanges.binance.venue import BinanceAccountSession
from patriot.host.logs import lines_logged, log_to
from patriot.kernel.clock import SystemClock

pytestmark = pytest.mark.integration

KEY = ApiKey("made-key-of-a-client", "made-secret-of-a-client")
TOLD_BY_A_REQUEST = (KEY.api_key, KEY.api_secret, "signature=", "X-MBX-APIKEY")


@pytest.fixture
def written(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """Log into a file for one test, and as before after it."""
    path, root = Path(getattr(request, "param", tmp_path / "worker.log")), logging.getLogger()
    of_the_test_run, root.handlers = root.handlers, []
    level = root.level
    log_to(path)
    (handler,) = root.handlers
    root.handlers = [*of_the_test_run, handler]
    yield path
    root.removeHandler(handler)
    root.setLevel(level)
    assert isinstance(handler, logging.StreamHandler)
    handler.stream.close()
    structlog.reset_defaults()


async def fail_on_the_wire() -> None:
    """Ask an exchange through a client that is closed: nothing in the session foresees that."""
    http, clock = aiohttp.ClientSession(), SystemClock()
    await http.close()
    session = BinanceSession(
        "http://127.0.0.1:9", "ws://127.0.0.1:9", http, Signer(KEY), clock=clock, budget=RateBudget(clock)
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(BinanceAccountSession.open(session).orders.open_orders())


async def test_failure_on_the_wire_is_told_with_its_place_and_without_the_key(written: Path) -> None:
    try:
        await fail_on_the_wire()
    except ExceptionGroup:
        structlog.get_logger().exception("account.worker_failed")

    text = written.read_text()
    assert "_send" in text, "the traceback names the function that failed"
    assert [told for told in TOLD_BY_A_REQUEST if told in text] == []


async def test_failure_that_a_library_logs_is_told_without_the_key(written: Path) -> None:
    try:
        await fail_on_the_wire()
    except ExceptionGroup:
        logging.getLogger("aiohttp.client").exception("request failed")

    text = written.read_text()
    assert "_send" in text, "the traceback names the function that failed"
    assert [told for told in TOLD_BY_A_REQUEST if told in text] == []


def test_line_of_the_log_is_json_with_its_event_and_fields(written: Path) -> None:
    structlog.get_logger().info("order.filled", quantity="2")

    line = msgspec.json.decode(written.read_bytes())
    assert (line["event"], line["quantity"], line["level"]) == ("order.filled", "2", "info")


@pytest.mark.usefixtures("written")
def test_lines_are_counted_by_name_also_those_that_the_level_holds_back(tmp_path: Path) -> None:
    log_to(tmp_path / "quiet.log", "ERROR")
    before = lines_logged()
    log = structlog.get_logger()
    for _ in range(2):
        log.warning("account.lease_lost")
    log.error("sim.ended")
    log.debug("not.counted")

    def grown(name: str) -> float:
        return lines_logged().get(name, 0.0) - before.get(name, 0.0)

    assert [grown(name) for name in ("account.lease_lost", "sim.ended", "not.counted")] == [2, 1, 0]
    assert "account.lease_lost" not in (tmp_path / "quiet.log").read_text()
    assert "sim.ended" in (tmp_path / "quiet.log").read_text()


@pytest.mark.parametrize("written", ["/dev/full"], indirect=True)
def test_line_that_a_full_disk_does_not_take_is_counted_and_stops_nobody(written: Path) -> None:
    before = lines_logged().get("log.lost", 0.0)
    structlog.get_logger().error("order.outcome_unknown", of="a test")
    logging.getLogger("a library").warning("something")

    assert lines_logged()["log.lost"] >= before + 2
    assert lines_logged()["order.outcome_unknown"] >= 1
