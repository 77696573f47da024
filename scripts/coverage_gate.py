"""Read `coverage.json` and fail when a package that moves money has too many branches that no test takes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GATED = ("kernel", "orders", "execution", "risk", "billing")
LEAST_PERCENT = 90.0


def main() -> int:
    """Print one line per package, by branch and by line; return 1 when one is below the gate."""
    files = json.loads((ROOT / "coverage.json").read_text())["files"]
    failed = False
    for package in GATED:
        prefix = f"src/patriot/{package}/"
        summaries = [measured["summary"] for path, measured in files.items() if path.startswith(prefix)]
        branches = percent(summaries, "covered_branches", "num_branches")
        lines = percent(summaries, "covered_lines", "num_statements")
        is_enough = bool(summaries) and min(branches, lines) >= LEAST_PERCENT
        failed = failed or not is_enough
        verdict = "ok" if is_enough else f"below {LEAST_PERCENT:.0f} %" if summaries else "not measured"
        print(f"{package:10} branches {branches:6.2f} %   lines {lines:6.2f} %   {verdict}")
    return int(failed)


def percent(summaries: list[dict[str, float]], covered: str, total: str) -> float:
    """Return the covered share of all files together; nothing to cover is covered."""
    whole = sum(summary[total] for summary in summaries)
    return 100 * sum(summary[covered] for summary in summaries) / whole if whole else 100.0


if __name__ == "__main__":
    sys.exit(main())
