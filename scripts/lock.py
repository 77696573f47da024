"""Write `requirements.lock` and `requirements-dev.lock` from `pyproject.toml`: exact versions and hashes, no hosts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from setup import ROOT, find_uv, uv_settings

COMPILE = ["pip", "compile", "pyproject.toml", "--universal", "--python-version", "3.11", "--generate-hashes",
           "--no-emit-index-url", "--no-header", "--no-annotate", "--quiet"]  # fmt: skip
TARGETS = (
    ["-o", "requirements.lock"],
    ["--extra", "dev", "-c", "requirements.lock", "-o", "requirements-dev.lock"],
)


def main() -> None:
    """Compile both locks; the second keeps every version of the first. Arguments go to uv (`--upgrade`)."""
    settings = uv_settings()
    uv = find_uv(settings)
    for target in TARGETS:
        subprocess.run([uv, *COMPILE, *target, *sys.argv[1:]], check=True, cwd=ROOT, env=settings)


if __name__ == "__main__":
    main()
