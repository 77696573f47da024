"""`python -m patriot.simulation`: run seeds, name those that break a law, shrink the first, count what was tried.

A seed that fails prints one line that runs it again, byte for byte: `make simulate SEED=n`.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from patriot.kernel.eventstore import START as BEGINNING
from patriot.simulation.faults import Fault, Injection
from patriot.simulation.loop import START, run_virtually
from patriot.simulation.world import World

LINES_SHOWN = 600


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one seed."""

    seed: int
    violations: tuple[str, ...]
    met: Counter[tuple[str, str]]  # fault and step of the order path


def run_seed(seed: int) -> Outcome:
    """Run one seed."""
    judge = World(seed).run()
    met = Counter((one.fault.value, one.step) for one in judge.dice.injections)
    return Outcome(seed, tuple(judge.violations), met)


def shrink(seed: int) -> tuple[World, list[str]]:
    """Leave faults out, many at once and then one by one, while the same law stays broken; return the smallest run."""
    world = World(seed)
    left = world.run().dice.injections
    broken = _laws(world.judge.violations)
    without: frozenset[str] = frozenset()
    size = max(1, len(left) // 2)
    while size:
        start = 0
        while start < len(left):
            names = {one.name for one in left[start : start + size]}
            smaller = World(seed, without=without | names)
            if broken & _laws(smaller.run().violations):
                world, without, left = smaller, smaller.without, left[:start] + left[start + size :]
            else:
                start += size
        size //= 2
    return world, world.judge.violations


def _laws(violations: Iterable[str]) -> set[str]:
    return {violation.partition(":")[0] for violation in violations}


def _account(world: World) -> list[str]:
    """Return what happened in a run, faults in their place."""
    faults = [(one.at, _said(one)) for one in world.judge.dice.injections]
    lines = [(float(line[:9]), line[10:]) for line in world.trace]
    log = [
        ((envelope.recorded_at - START).total_seconds(), f"log: {envelope.event_type} {envelope.stream.stream_id}")
        for envelope in run_virtually(world.store.feed.read(BEGINNING, 1_000_000)).events
    ]
    happened = sorted([*faults, *lines, *log], key=lambda entry: entry[0])
    return [f"{at:9.3f} {text}" for at, text in happened][:LINES_SHOWN]


def _said(injection: Injection) -> str:
    whose = f" of account {injection.uid}" if injection.uid else ""
    return f"FAULT {injection.fault.value} at {injection.step}{whose}"


def report(met: Counter[tuple[str, str]]) -> list[str]:
    """Return which faults met which step how often, and which never came."""
    lines = []
    for fault in Fault:
        steps = {step: count for (name, step), count in sorted(met.items()) if name == fault.value}
        total = sum(steps.values())
        where = ", ".join(f"{step} {count}" for step, count in steps.items())
        lines.append(f"{fault.value:32} {total:7}  {where}" if total else f"{fault.value:32}   never")
    return lines


def main(arguments: list[str]) -> int:
    """Run what was asked for; 1 if a law was broken."""
    parser = argparse.ArgumentParser(prog="python -m patriot.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many seeds, from --first on")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, help="this one alone, shrunk if it fails")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    given = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)
    seeds = range(given.first, given.first + given.seeds) if given.seed is None else [given.seed]
    met: Counter[tuple[str, str]] = Counter()
    failed: list[Outcome] = []
    for outcome in _outcomes(seeds, given.jobs):
        met.update(outcome.met)
        if outcome.violations:
            failed.append(outcome)
            _say(f"make simulate SEED={outcome.seed}  # {outcome.violations[0]}")
    if failed and given.seed is not None:
        world, violations = shrink(given.seed)
        for line in (*_account(world), *violations):
            _say(line)
    for line in report(met):
        _say(line)
    _say(f"{len(seeds)} seeds, {sum(met.values())} faults, {len(failed)} seeds that broke a law")
    return 1 if failed else 0


def _outcomes(seeds: Iterable[int], jobs: int) -> Iterable[Outcome]:
    if jobs == 1:
        yield from map(run_seed, seeds)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(run_seed, seeds)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
