"""Refuse files that look as if they held a secret. pre-commit and `make lint` call it with the tracked files.

An invented secret in a test says so: a line with `not-a-secret` in a comment is let through.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ESCAPE = "not-a-secret"
PATTERNS = {
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----\s*$"),
    "an AWS key": re.compile(r"\bAKIA[0-9A-Z]{16}\b"),
    "a GitHub token": re.compile(r"\bgh[pousr]_[A-Za-z0-9]{36}\b"),
    "a Telegram bot token": re.compile(r"\b\d{8,10}:AA[A-Za-z0-9_-]{33}\b"),
    "an exchange key": re.compile(r"""(?i)(?:api|secret)_?key["']?\s*[:=]\s*["'](?=[^"']*\d)[A-Za-z0-9]{36,}["']"""),
}
SKIPPED = {".lock", ".gz", ".zip", ".png", ".svg"}


def main(names: list[str]) -> int:
    """Print `file:line: what it looks like`; return 1 when there is any."""
    found = 0
    for name in names or tracked_files():
        path = ROOT / name
        if path.suffix in SKIPPED or not path.is_file():
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1):
            for what, pattern in PATTERNS.items():
                if pattern.search(line) and ESCAPE not in line:
                    sys.stderr.write(f"{name}:{number}: this looks like {what}\n")
                    found += 1
    return int(found > 0)


def tracked_files() -> list[str]:
    """Return every file that git follows."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
    return [name for name in listed.stdout.split("\0") if name]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
