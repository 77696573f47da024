"""A seed gives the same bytes in any process: whatever hashes strings get there, and whatever ran there before."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.integration

HISTORY = """
import logging, sys
from patriot.kernel.eventstore import START
from patriot.simulation.loop import run_virtually
from patriot.simulation.world import World
logging.disable(logging.CRITICAL)
seed, *before = map(int, sys.argv[1:])
for earlier in before:
    World(earlier).run()
world = World(seed)
judge = world.run()
print(*world.trace, *judge.dice.injections, *judge.violations, sep="\\n")
for envelope in run_virtually(world.store.feed.read(START, 100_000)).events:
    print(envelope.data, envelope.event_hash)
"""


def history(seed: int, hash_seed: str, *before: int) -> bytes:
    command = [sys.executable, "-W", "ignore", "-c", HISTORY, str(seed), *map(str, before)]
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    return subprocess.run(command, env=environment, capture_output=True, check=True, timeout=120).stdout


@pytest.mark.parametrize("seed", [3765])
def test_history_is_the_same_under_other_hashes_and_after_other_days(seed: int) -> None:
    first, second = history(seed, "1"), history(seed, "2", 3763)

    assert first.count(b"\n") > 300
    assert first == second
