"""What the children of a platform really see of our environment, read from the kernel while they run."""

import asyncio
import os
from pathlib import Path

import pytest

from patriot.adapters.environment import PASSED_ON
from patriot.adapters.runners import SubprocessRunners
from patriot.host.embedded import EmbeddedPostgres
from patriot.host.offline_verifier import verify_invoice
from patriot.host.sim_process import SimProcess, SimSpec

pytestmark = pytest.mark.integration

PLANTED = {"PATRIOT_MASTER_KEY": "bWFzdGVy", "DATABASE_URL": "postgresql://secret", "OTHER_SECRET": "elsewhere"}


@pytest.fixture(autouse=True)
def _planted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in PLANTED.items():
        monkeypatch.setenv(name, value)


def names_in(pid: int) -> set[str]:
    """Return the names of a process's environment as it was started with."""
    entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return {entry.partition(b"=")[0].decode() for entry in entries if entry}


def test_planted_keys_are_in_our_own_environment_and_would_be_seen() -> None:
    assert set(PLANTED) <= set(os.environ)
    assert "PATH" in names_in(os.getpid())


async def test_simulator_sees_its_token_and_no_key(tmp_path: Path) -> None:
    sim = await SimProcess.start(SimSpec(tmp_path / "sim", "token", 1, "step", None))
    try:
        names = names_in(sim.pid)
    finally:
        await sim.stop()
    assert "PATRIOT_SIM_TOKEN" in names
    assert names <= {*PASSED_ON, "PATRIOT_SIM_TOKEN"}


async def test_strategy_sees_no_key() -> None:
    runner = await SubprocessRunners()()
    try:
        names = names_in(runner.pid)
    finally:
        await runner.end()
    assert "PATH" in names
    assert names <= set(PASSED_ON)


async def test_database_server_sees_no_key(tmp_path: Path) -> None:
    async with EmbeddedPostgres(tmp_path / "postgres") as address:
        assert names_in(address.pid) & {*PLANTED, *(name for name in os.environ if name.startswith("PATRIOT"))} == set()


async def test_offline_verifier_sees_no_key(tmp_path: Path) -> None:
    proof = tmp_path / "proof.json"
    os.mkfifo(proof)  # it waits at the open until somebody writes
    verifying = asyncio.create_task(verify_invoice(proof))
    try:
        async with asyncio.timeout(30):
            while (pid := _reader_of(proof)) is None:  # noqa: ASYNC110  of a stranger
                await asyncio.sleep(0.05)
        names = names_in(pid)
    finally:
        proof.write_text("{}")
        assert await verifying
    assert names <= set(PASSED_ON)


def _reader_of(path: Path) -> int | None:
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if bytes(path) in words:
            return int(entry.name)
    return None
