"""Plant a fixed sample of faults in the source, one at a time, and see which of them no fast test finds.

For each mutant it runs the tests of `make test` whose coverage reaches the changed lines (a line that runs at import:
all that reach its file, or else its folder, and the file's own tests), on a copy of the tree, until one fails. What
survives is written to `.mutants/survivors.txt`.
Mutants that change nothing that anyone can see are named, with the reason, in `mutants-equivalent.toml`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

from coverage import CoverageData
from mutations import Mutant, mutants_of, sample, source_files

from patriot.host.embedded import EmbeddedPostgres

ROOT = Path(__file__).resolve().parent.parent
SOURCE = Path("src/patriot")
PLACE = ROOT / ".mutants"
MEASURED, DURATIONS, SURVIVORS = PLACE / "coverage", PLACE / "durations.txt", PLACE / "survivors.txt"
EQUIVALENT = ROOT / "scripts" / "mutants-equivalent.toml"
PACKAGES = ["execution", "orders", "services", "judge", "risk", "billing", "accounts", "kernel",
            "adapters/postgres", "adapters/exchanges"]  # fmt: skip
SEED = "1"
PER_PACKAGE = 40
LEAST_PERCENT = 90.0
WORKERS = 2
MOST_TEST_SECONDS = 60.0  # for one mutant: the tests nearest to it first; beyond that it counts as not found
SLACK_SECONDS, SLOWER = 40.0, 2.0  # a mutant that takes this much longer than its tests did hangs, and is found
DURATION = re.compile(r"^ *([\d.]+)s (?:call|setup|teardown) +(\S.*)$", re.MULTILINE)
BROKEN_AT_IMPORT = "rror"  # pytest cannot find the tests of a module that does not import


@dataclass(slots=True)
class Measured:
    """Which tests reach which lines, and how long each of them takes."""

    contexts: CoverageData
    seconds: dict[str, float] = field(default_factory=dict)

    def tests_of(self, mutant: Mutant) -> list[str]:
        """Return the tests that reach a mutant: those of its own domain first, then the quickest."""
        file = ROOT / SOURCE / mutant.path
        lines = self.contexts.contexts_by_lineno(str(file))
        reached = {test for line in mutant.lines for test in lines.get(line, ())}
        tests = reached - {""}
        if reached == {""}:  # it ran at import, for all tests
            tests = self._tests_of_files([file]) or self._tests_of_files(list(file.parent.glob("*.py")))
        domain = f"tests/{mutant.path.rpartition('/')[0]}/"
        names = {test.rpartition("|")[0] for test in tests}
        if reached == {""}:  # a test of the file's own that only looks at a table of it reaches no line
            own = f"{domain}test_{file.stem}.py::"
            names |= {test for test in self.seconds if test.startswith(own)}
        return sorted(names, key=lambda test: (not test.startswith(domain), self.seconds.get(test, 0.0), test))

    def _tests_of_files(self, files: list[Path]) -> set[str]:
        by_line = (self.contexts.contexts_by_lineno(str(file)).values() for file in files)
        return {test for lines in by_line for tests in lines for test in tests} - {""}


def main() -> int:
    """Run the sample; return 1 when a package finds too few of its mutants."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("packages", nargs="*", help=f"of {', '.join(PACKAGES)}; all of them by default")
    parser.add_argument("--per-package", type=int, default=PER_PACKAGE, metavar="N", help="how many of each package")
    parser.add_argument("--measured", action="store_true", help="trust the coverage that an earlier run stored")
    options = parser.parse_args()
    if not options.measured:
        measure()
    measured = Measured(CoverageData(str(MEASURED)))
    measured.contexts.read()
    for seconds, test in DURATION.findall(DURATIONS.read_text()):
        measured.seconds[test] = measured.seconds.get(test, 0.0) + float(seconds)
    known = {entry["mutant"]: entry["reason"] for entry in tomllib.loads(EQUIVALENT.read_text()).get("equivalent", [])}
    chosen = [
        mutant
        for package in options.packages or PACKAGES
        for mutant in sample(all_mutants(package), SEED, options.per_package)
        if mutant.name not in known
    ]
    return report(run_all(chosen, measured), options.packages or PACKAGES)


def all_mutants(package: str) -> list[Mutant]:
    """Return every mutant of a package."""
    root = ROOT / SOURCE
    files = source_files(root, package)
    return [mutant for file in files for mutant in mutants_of(str(file.relative_to(root)), file.read_bytes())]


def measure() -> None:
    """Run the fast tests once, and store which of them reach which lines."""
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir()
    command = [sys.executable, "-m", "pytest", "-n", str(WORKERS), "-m", "not slow", "-vv", "--durations=0",
               "--cov", "--cov-context=test", "--cov-report="]  # fmt: skip
    print("Measuring which tests reach which lines ...", flush=True)
    with DURATIONS.open("w") as output:
        environment = os.environ | {"CI": "1", "COVERAGE_FILE": str(MEASURED)}
        status = subprocess.run(command, cwd=ROOT, env=environment, stdout=output, check=False).returncode
    if status:
        raise SystemExit(f"the tests fail without any mutant: see {DURATIONS}")


def run_all(mutants: list[Mutant], measured: Measured) -> dict[Mutant, str]:
    """Return what became of each mutant: a word, `survived ...` for those that no test found."""
    trees: SimpleQueue[Tree] = SimpleQueue()
    started = [Tree(PLACE / f"tree{number}") for number in range(WORKERS)]
    for tree in started:
        trees.put(tree)

    def run(mutant: Mutant) -> str:
        tree = trees.get()
        try:
            outcome = tree.run(mutant, measured)
        finally:
            trees.put(tree)
        print(f"{outcome:10} {mutant.name}", flush=True)
        return outcome

    try:
        with ThreadPoolExecutor(WORKERS) as pool:
            return dict(zip(mutants, pool.map(run, mutants), strict=True))
    finally:
        for tree in started:
            tree.close()


class Tree:
    """A copy of what is committed or about to be, with a PostgreSQL of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.rmtree(folder, ignore_errors=True)
        git = ["git", "ls-files", "-co", "--exclude-standard", "-z"]
        listed = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for name in filter(None, listed.split("\0")):
            if (ROOT / name).exists():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        self._server = EmbeddedPostgres(folder / "postgres")
        self._environment = os.environ | {
            "CI": "1",
            "PATRIOT_TEST_DATABASE_URL": asyncio.run(self._server.start()).dsn,
            "PYTHONPATH": str(folder / "src"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def close(self) -> None:
        asyncio.run(self._server.stop())
        shutil.rmtree(self._server.data_folder, ignore_errors=True)

    def run(self, mutant: Mutant, measured: Measured) -> str:
        """Plant a mutant, run its tests, take it out again."""
        reaching = measured.tests_of(mutant)
        tests, seconds = [], 0.0
        for test in reaching:
            seconds += measured.seconds.get(test, 0.0)
            if seconds > MOST_TEST_SECONDS and tests:
                break
            tests.append(test)
        if not tests:
            return "survived: no test reaches it"
        file = self.folder / SOURCE / mutant.path
        source = file.read_bytes()
        file.write_bytes(mutant.planted(source))
        try:
            found = self._found(tests, SLACK_SECONDS + SLOWER * min(seconds, MOST_TEST_SECONDS))
        finally:
            file.write_bytes(source)
        return found or f"survived {len(tests)} of {len(reaching)} tests"

    def _found(self, tests: list[str], limit_seconds: float) -> str:
        """Run tests; return how the mutant was found, or nothing."""
        listed = self.folder / "tests.txt"
        listed.write_text("\n".join(tests))
        command = [sys.executable, "-m", "pytest", "-q", "-x", "--tb=line", "-p", "no:cacheprovider", f"@{listed}"]
        with subprocess.Popen(
            command, cwd=self.folder, env=self._environment, start_new_session=True, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            try:
                output = process.communicate(timeout=limit_seconds)[0]
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                return "hung"
        if process.returncode in (0, 1):
            return "killed" if process.returncode else ""
        if BROKEN_AT_IMPORT in output:
            return "killed"
        raise RuntimeError(f"pytest could not run: {output[-2000:]}")


def report(outcomes: dict[Mutant, str], packages: list[str]) -> int:
    """Print how many were found, by file and package; write down the others."""
    found, whole = Counter[str](), Counter[str]()
    kinds: defaultdict[str, Counter[str]] = defaultdict(Counter)
    survivors = []
    for mutant, outcome in outcomes.items():
        package = next(name for name in packages if mutant.path.startswith(f"{name}/"))
        for group in (mutant.path, package):
            whole[group] += 1
            found[group] += not outcome.startswith("survived")
        if outcome.startswith("survived"):
            kinds[package][mutant.kind] += 1
            survivors.append(f"{mutant.name}\n    line {mutant.lines.start}: {outcome}")
    SURVIVORS.write_text("\n".join(survivors) + "\n")
    for group in sorted(whole, key=lambda name: (name.removesuffix(".py"), name)):
        indent = "" if group in packages else "  "
        percent = 100 * found[group] / whole[group]
        survived = ", ".join(f"{kind} {count}" for kind, count in kinds[group].most_common())
        print(f"{indent + group:50} {found[group]:4} of {whole[group]:4}  {percent:5.1f} %  {survived}")
    print(f"{len(survivors)} survivors of {len(outcomes)} mutants: {SURVIVORS.relative_to(ROOT)}")
    return int(any(100 * found[name] / whole[name] < LEAST_PERCENT for name in packages if whole[name]))


if __name__ == "__main__":
    sys.exit(main())
