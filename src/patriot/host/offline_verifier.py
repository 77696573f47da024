"""Runs the offline verifier of invoices as a client's accountant would: its own process, the standard library only."""

import asyncio
import sys
from importlib.resources import files
from pathlib import Path

from patriot.adapters.environment import environment_of_child


async def verify_invoice(path: Path) -> str:
    """Return what the verifier complains about in a file, "" if the file proves its invoice."""
    program = files("patriot.billing") / "verify_invoice.py"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", str(program), str(path)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment_of_child(),
    )
    output, _ = await process.communicate()
    lines = output.decode(errors="replace").strip().splitlines() or ["no answer"]
    return "" if process.returncode == 0 else lines[-1]
