"""The suite's own rule: a test that is marked `unit` reaches nothing outside."""

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.integration

RULES = (Path(__file__).parent / "conftest.py").read_text()
MARKS = "[pytest]\nmarkers =\n    unit\n    integration\n    slow\n    postgres\n"
MODULE = """
import socket, subprocess, pytest
pytestmark = pytest.mark.{cost}

def test_of_nothing_outside() -> None: ...
def test_of_a_socket() -> None:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
def test_of_a_process() -> None:
    subprocess.run(["true"], check=True)
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """Give an empty suite under the rules of this one."""
    pytester.makeconftest(RULES)
    pytester.makeini(MARKS)
    return pytester


@pytest.mark.parametrize(
    ("cost", "outcome"), [("unit", {"passed": 1, "failed": 2}), ("integration", {"passed": 3}), ("slow", {"passed": 3})]
)
def test_only_a_unit_test_that_reaches_outside_fails(
    suite: pytest.Pytester, cost: str, outcome: dict[str, int]
) -> None:
    suite.makepyfile(MODULE.format(cost=cost))
    suite.runpytest_subprocess().assert_outcomes(**outcome)
