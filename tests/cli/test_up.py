"""The platform as processes: it runs, tells about itself, keeps others out, outlives its children, ends when asked."""

import asyncio
import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from patriot.host.data_folder import DataFolder
from patriot.trading.steps import Step
from tests.cli.kit import Started, answer, eventually, free_port, patriot

pytestmark = pytest.mark.slow
Start = Callable[..., Started]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """Give a data folder on which nothing runs after the test, whatever happened in it."""
    yield tmp_path / "home"
    assert patriot("down", str(tmp_path / "home"), home=tmp_path / "home").returncode == 0


@pytest.fixture
def start(home: Path, tmp_path: Path) -> Iterator[Start]:
    """Give what starts a command on the folder; whatever still runs after the test is ended."""
    begun: list[Started] = []

    def begin(*words: str, **variables: str) -> Started:
        begun.append(Started(*words, home=home, log=tmp_path / f"said-{len(begun)}.txt", **variables))
        return begun[-1]

    yield begin
    for one in begun:
        one.end()


def children_of(pid: int) -> dict[str, int]:
    """Return the children of a process by the end of their command line."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == pid:
            found[line] = int(entry.name)
    return found


async def test_platform_serves_survives_its_children_and_ends_on_down(home: Path, start: Start, tmp_path: Path) -> None:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    up = start("up", "--accounts", "2", PATRIOT_PORT=str(port))
    await up.says(f"running: Ctrl-C or `patriot down {home}` ends it")
    for named in (
        f"data folder {home}",
        f"log         {home / 'patriot.log'}",
        "exchange    http://127.0.0.1:",
        address,
    ):
        assert named in up.said
    await eventually(lambda: answer(f"{address}/ready")[0] == 200, up)
    assert json.loads(answer(f"{address}/health")[1]) == {"status": "ok", "service": "platform"}
    await eventually(lambda: 'patriot_accounts{of="in_step"} 2.0' in answer(f"{address}/metrics")[1], up)

    second = patriot("up", home=home, PATRIOT_PORT=str(free_port()))
    assert second.returncode == 2
    assert f"another platform (pid {up.process.pid}) runs on {home}" in second.stderr
    elsewhere = patriot("up", home=tmp_path / "elsewhere", PATRIOT_PORT=str(port))
    assert elsewhere.returncode == 2
    assert f"port {port} on 127.0.0.1 cannot be opened" in elsewhere.stderr
    assert "another platform" in patriot("verify", str(home), home=home).stderr

    accounts = json.loads(patriot("accounts", "--json", home=home).stdout)
    assert [account["status"] for account in accounts] == ["ACTIVE", "ACTIVE"]
    halted = patriot("halt", "--level", "h2", "--scope", "account", "--reference", accounts[0]["account_id"], home=home)
    assert halted.stdout == f"ACCOUNT {accounts[0]['account_id']}: halted at H2\n", halted.stderr

    sim = next(pid for line, pid in children_of(up.process.pid).items() if " sim " in line)
    os.kill(sim, signal.SIGKILL)
    await eventually(lambda: 'patriot_restarts_total{of="sim"} 1.0' in answer(f"{address}/metrics")[1], up)
    await eventually(lambda: answer(f"{address}/ready")[0] == 200, up)
    server = int((home / "postgres" / "cluster" / "postmaster.pid").read_text().split()[0])
    os.kill(server, signal.SIGKILL)
    await eventually(lambda: answer(f"{address}/ready")[0] != 200, up)
    await eventually(lambda: answer(f"{address}/ready")[0] == 200, up)

    down = patriot("down", str(home), home=home)
    assert down.returncode == 0
    assert f"ended platform (pid {up.process.pid}) on {home}" in down.stdout
    assert "PostgreSQL" not in down.stdout  # the platform had ended its own
    assert await up.ended() == 0
    assert "Traceback" not in up.said
    assert up.said.endswith("ended. `patriot up` goes on where this stopped.\n")
    verified = patriot("verify", str(home), "--json", home=home)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert set(json.loads(verified.stdout)["unexplained"].values()) == {"0"}


async def test_platform_that_was_killed_goes_on_and_leaves_a_server_that_down_ends(home: Path, start: Start) -> None:
    port = str(free_port())
    killed = start("up", "--accounts", "1", PATRIOT_PORT=port)
    await killed.says("running: Ctrl-C")
    children = children_of(killed.process.pid)
    sim = next(pid for line, pid in children.items() if " sim " in line)
    os.kill(killed.process.pid, signal.SIGKILL)
    await killed.ended()
    await eventually(lambda: not Path(f"/proc/{sim}").exists(), "the simulator outlives its platform")
    assert "nothing was halted" in patriot("halt", "--lift", home=home).stdout  # on the server that was left behind

    again = start("up", PATRIOT_PORT=port)
    await again.says("running: Ctrl-C")
    assert "accounts    1" in again.said
    metrics = f"http://127.0.0.1:{port}/metrics"
    await eventually(lambda: 'patriot_accounts{of="in_step"} 1.0' in answer(metrics)[1], again)
    await eventually(lambda: "account.equity_sampled" in patriot("events", home=home).stdout, again)  # books are open
    os.kill(again.process.pid, signal.SIGKILL)
    await again.ended()
    assert "ended PostgreSQL that was left behind" in patriot("down", str(home), home=home).stdout
    assert patriot("down", str(home), home=home).stdout == f"nothing runs on {home}\n"
    assert patriot("verify", str(home), home=home).returncode == 0


async def test_platform_that_was_killed_while_its_clients_were_linked_has_them_all_at_the_next_start(
    home: Path, start: Start
) -> None:
    port = str(free_port())
    killed = start("up", "--accounts", "3", "--lively", PATRIOT_PORT=port, PATRIOT_KILL_AT=f"{Step.ACCOUNT_LINKED}:2")
    assert await killed.ended() == -signal.SIGKILL
    again = start("up", PATRIOT_PORT=port)
    await again.says("running: Ctrl-C")
    assert "accounts    3" in again.said
    metrics = f"http://127.0.0.1:{port}/metrics"
    await eventually(lambda: 'patriot_accounts{of="in_step"} 3.0' in answer(metrics)[1], again)


async def test_platform_ends_cleanly_on_ctrl_c(home: Path, start: Start) -> None:
    up = start("up", "--speed", "60", PATRIOT_PORT=str(free_port()))
    await up.says("running: Ctrl-C")
    os.kill(up.process.pid, signal.SIGINT)
    assert await up.ended() == 0
    assert up.said.endswith("ended. `patriot up` goes on where this stopped.\n")
    assert patriot("down", str(home), home=home).stdout == f"nothing runs on {home}\n"


async def test_demo_beside_a_running_platform_is_told_so(tmp_path: Path) -> None:
    lock = DataFolder(tmp_path / "demo").lock()
    try:
        done = await asyncio.to_thread(patriot, "demo", "--accounts", "1", home=tmp_path)
    finally:
        lock.release()
    assert done.returncode == 2
    assert f"another platform (pid {os.getpid()}) runs on {tmp_path / 'demo'}" in done.stderr


async def test_events_follow_shows_what_another_process_does(home: Path, start: Start) -> None:
    up = start("up", "--accounts", "1", PATRIOT_PORT=str(free_port()))
    await up.says("running: Ctrl-C")
    reader = start("events", "--type", "trading.halted", "--follow", "--json")
    patriot("halt", "--reason", "FIRE_DRILL", home=home)
    await reader.says("FIRE_DRILL")
    os.kill(reader.process.pid, signal.SIGINT)
    assert await reader.ended() == 130
    assert json.loads(reader.said.splitlines()[0])["data"]["level"] == "H1"


async def test_services_run_as_processes_of_their_own(start: Start) -> None:
    up = start("up", "--accounts", "1", PATRIOT_PORT=str(free_port()))
    await up.says("running: Ctrl-C")
    for service in ("risk", "portfolio", "identity"):
        port = free_port()
        served = start("serve", service, "--port", str(port))
        await served.says(f"{service} worker: http://127.0.0.1:{port}/health")
        await eventually(lambda port=port: answer(f"http://127.0.0.1:{port}/ready")[0] == 200, served)  # type: ignore[misc]
        os.kill(served.process.pid, signal.SIGTERM)
        assert await served.ended() == 0
        assert served.said.endswith(f"{service} worker: ended\n")
