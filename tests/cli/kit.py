"""One small demo run, kept: made once per session, copied by each test that changes something in it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

DEADLINE_SECONDS = 110


def patriot(*words: str, home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the real command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "patriot.cli.main", *words],
        env=environment(home, **variables),
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )


def environment(home: Path, **variables: str) -> dict[str, str]:
    """Return this process's environment without its own PATRIOT settings."""
    inherited = {n: v for n, v in os.environ.items() if not n.startswith("PATRIOT_") and n != "DATABASE_URL"}
    return inherited | {"PATRIOT_HOME": str(home), "COLUMNS": "120"} | variables


def copy_of(kept: Path, to: Path) -> Path:
    """Copy a data folder that nothing runs on."""
    shutil.copytree(kept, to, symlinks=True)
    return to
