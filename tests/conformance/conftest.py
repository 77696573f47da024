"""One simulator for all suites."""

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.conformance.stage import Stage


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    command = [sys.executable, "-m", "tests.conformance.server"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        ports = json.loads(process.stdout.readline())
        yield Stage(ports["binance_port"], ports["bybit_port"], ports["control_port"])
        process.stdin.close()
        process.wait(timeout=10)
