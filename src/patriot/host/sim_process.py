"""The simulator as a child: started with its journal, announced ports, ended with the pipe to us."""

import asyncio
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from patriot.adapters.environment import environment_of_child
from patriot.adapters.simulator.control import SimGone
from patriot.kernel.errors import StartupError

ANNOUNCE_SECONDS = 60.0  # it may have a month of journal to replay
END_SECONDS = 10.0
PORTS_FILE = "ports.json"  # beside the journal: where the newest simulator of this folder answers


@dataclass(frozen=True, slots=True)
class SimSpec:
    """How to run the child. `speed` is "1", "60" or "step"; `data` a recorded file, or None for the seeded model.

    Ports are free ones unless they are named.
    """

    folder: Path
    token: str
    seed: int
    speed: str
    data: Path | None
    binance_port: int = 0
    control_port: int = 0


class _Announced(msgspec.Struct):
    binance_port: int
    control_port: int
    pid: int


class SimProcess:
    """One running simulator."""

    def __init__(self, process: asyncio.subprocess.Process, announced: _Announced) -> None:
        self._process = process
        self.pid = announced.pid
        self.binance_port, self.control_port = announced.binance_port, announced.control_port
        self.base_url = f"http://127.0.0.1:{announced.binance_port}"
        self.ws_url = f"ws://127.0.0.1:{announced.binance_port}"
        self.control_url = f"http://127.0.0.1:{announced.control_port}"

    @classmethod
    async def start(cls, spec: SimSpec) -> "SimProcess":
        """Start it on free ports and return when it answers. Errors: StartupError with its own words."""
        spec.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        data = ["--data", str(spec.data)] if spec.data else []
        options = [
            *("--binance-port", str(spec.binance_port), "--control-port", str(spec.control_port)),
            *("--venue", "binance", "--announce", "--parent-pipe"),
            *("--seed", str(spec.seed), "--speed", spec.speed, "--journal", str(spec.folder), *data),
        ]
        with (spec.folder / "sim.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "patriot.cli.main", "sim", *options),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=environment_of_child({"PATRIOT_SIM_TOKEN": spec.token}),
                start_new_session=True,  # Ctrl-C is ours to pass on
            )
        assert process.stdout is not None  # noqa: S101  a pipe
        try:
            async with asyncio.timeout(ANNOUNCE_SECONDS):
                line = await process.stdout.readline()
        except TimeoutError:
            line = b""
        if not line:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            said = (spec.folder / "sim.log").read_text(errors="replace").strip().splitlines()[-1:]
            raise StartupError(f"the simulator did not start: {said[0] if said else 'no word from it'}")
        (spec.folder / PORTS_FILE).write_bytes(line)
        return cls(process, msgspec.json.decode(line, type=_Announced))

    async def died(self) -> None:
        """Wait for its end, and raise: nobody ends it but us."""
        status = await self._process.wait()
        raise SimGone(f"the simulator ended with status {status}")

    async def stop(self) -> None:
        """End it cleanly; after ten seconds, by force."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(END_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
