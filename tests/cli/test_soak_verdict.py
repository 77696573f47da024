"""What a soak finds wrong is said and is exit status 1; the platform, its exchange and `verify` are stood in for."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import aiohttp
import msgspec
import pytest
from typer.testing import CliRunner

from patriot.adapters.simulator.control import SimControl
from patriot.cli import soak as command
from patriot.cli.main import app
from patriot.host import soak as host
from patriot.host.soak import LAWS_OF_ORDERS, Soak
from patriot.judge.case import Verdict
from patriot.judge.summary import Summary
from patriot.kernel.clock import SystemClock

pytestmark = pytest.mark.unit

EMPTY = {int: 0, float: 0.0, bool: True, str: "0"}
KEPT = dict.fromkeys(LAWS_OF_ORDERS, Verdict(ok=True, checked=1))
FLAT: dict[str, Any] = {"positions": [], "orders": [], "algo_orders": []}
LONG = {**FLAT, "positions": [{"symbol": "BTCUSDT", "quantity": "0.1"}]}
IN_STEP = 'patriot_accounts{of="in_step"} 1.0\n'
SETTLED = 'patriot_accounts{of="unsettled"} 0.0\n'


@dataclass(frozen=True)
class Found:
    """What the soak meets."""

    laws: dict[str, Verdict] = field(default_factory=lambda: KEPT)
    account: dict[str, Any] = field(default_factory=lambda: FLAT)
    metrics: str = IN_STEP + SETTLED
    status: int = 0
    judgment: bytes | None = None  # instead of the laws


class Hasty(SystemClock):
    """A clock on which a second passes whenever somebody looks."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def monotonic(self) -> float:
        self._seconds += 1
        return self._seconds


class Platform:
    """A process that lives until it is told to end."""

    def __init__(self, status: int) -> None:
        self._status = status
        self.returncode: int | None = None

    def send_signal(self, _number: int) -> None:
        self.returncode = self._status

    async def wait(self) -> int | None:
        return self.returncode


class Control:
    """The exchange's control API."""

    def __init__(self, account: dict[str, Any]) -> None:
        self._account = account

    async def state(self) -> dict[str, Any]:
        return {"keys": {}, "accounts": {"7": self._account}}

    async def call(self, _method: str, _path: str, _body: object = None) -> None:
        return None


def summary(laws: dict[str, Verdict]) -> Summary:
    """Return a summary of a run in which nothing but the laws was counted."""
    fields: dict[str, Any] = {one.name: EMPTY.get(one.type) for one in msgspec.structs.fields(Summary)}
    lists: dict[str, Any] = {
        "accounts_unreachable": [],
        "accounts_unclaimed": [],
        "keys_unopened": [],
        "lost_entries": [],
    }
    return Summary(**fields | lists | {"accounts_judged": {}, "unexplained": {}, "laws": laws})


def soaked(found: Found, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, list[str]]:
    """Run the command; return its exit status and what it called broken."""

    class Rehearsed(Soak):
        async def _start(self, _http: aiohttp.ClientSession) -> None:
            self._up = cast(Any, Platform(found.status))

        async def _control(self, _http: aiohttp.ClientSession) -> SimControl:
            return cast(SimControl, Control(found.account))

        async def _answer(self, _http: aiohttp.ClientSession, path: str) -> tuple[int, str]:
            return 200, found.metrics if path == "/metrics" else "ready"

        async def _said(self, *words: str) -> tuple[int | None, bytes, str]:
            if words[0] == "halt":
                return 0, b"", ""
            assert words == ("verify", str(folder), "--json")
            return 1, msgspec.json.encode(summary(found.laws)) if found.judgment is None else found.judgment, "no log"

    monkeypatch.setattr(command, "Soak", Rehearsed)
    monkeypatch.setattr(command, "SystemClock", Hasty)
    monkeypatch.setattr(host, "_free_port", lambda: 1)
    monkeypatch.setattr(host, "POLL_SECONDS", 0)
    options = ("--minutes", "0.001", "--accounts", "1", "--home", str(folder))
    result = CliRunner().invoke(app, ["soak", *options], env={"COLUMNS": "300"})
    said = [line.removeprefix("broken: ") for line in result.stdout.splitlines() if line.startswith("broken: ")]
    assert ("clean: seed 1" in result.stdout) == (not said), result.output
    return result.exit_code, said


def test_soak_in_which_nothing_broke_is_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert soaked(Found(), tmp_path / "soaked", monkeypatch) == (0, [])


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (
            Found(laws=KEPT | {"4": Verdict(ok=False, checked=3, problems=("trade 7 is not in the log",))}),
            ["law 4: trade 7 is not in the log"],
        ),
        (Found(laws=KEPT | {"8": Verdict(ok=False, checked=0)}), ["law 8: was not put to the test"]),
        (Found(account=LONG), ["law 5: not at rest 240 s after all was to be closed: account 7 holds 0.1 BTCUSDT"]),
        (Found(metrics=IN_STEP), ["law 5: not at rest 240 s after all was to be closed: ready"]),
        (
            Found(metrics=SETTLED),
            [
                "not in step 90 s after the last fault: ready",
                "law 5: not at rest 240 s after all was to be closed: ready",
            ],
        ),
        (Found(status=3), ["the platform ended with status 3: see up.log in the folder"]),
        (Found(judgment=b"no json"), ["verify ended with status 1: no log"]),
    ],
    ids=["law broken", "law untested", "not flat", "not settled", "not in step", "ended badly", "not judged"],
)
def test_what_was_found_wrong_is_said_and_is_status_1(
    found: Found, said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert soaked(found, tmp_path / "soaked", monkeypatch) == (1, said)
