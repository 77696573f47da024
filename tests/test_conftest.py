"""The suite's own rules: a unit test reaches nothing outside, and in CI no test that needs a server is skipped."""

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.integration

RULES = (Path(__file__).parent / "conftest.py").read_text()
MARKS = "[pytest]\nmarkers =\n    unit\n    integration\n    slow\n    postgres\n"
WAYS = {
    "bind": 'socket.socket().bind(("127.0.0.1", 0))',
    "connect": 'socket.socket().connect_ex(("127.0.0.1", 9))',
    "sendto": 'socket.socket(type=socket.SOCK_DGRAM).sendto(b"", ("127.0.0.1", 9))',
    "process": 'subprocess.run(["true"], check=True)',
    "fork": "os.fork() or os._exit(0)",
    "exec": 'os.execv("/nowhere", ["nowhere"])',
    "spawn": 'os.posix_spawn("/nowhere", ["nowhere"], {})',
    "system": 'os.system("true")',
}
HEAD = "import os, socket, subprocess\nfrom contextlib import suppress\nimport pytest\n"
SKIPPED = """
import pytest
pytestmark = pytest.mark.unit

@pytest.fixture
def database() -> None: pytest.skip("no server")
def test_on_a_server(database: None) -> None: ...
@pytest.mark.skip
def test_of_an_author_in_doubt(database: None) -> None: ...
@pytest.mark.skip
def test_of_nothing_outside() -> None: ...
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """Give an empty suite under the rules of this one."""
    pytester.makeconftest(RULES)
    pytester.makeini(MARKS)
    return pytester


def ways_out(cost: str) -> str:
    """Return a test module that tries every way; what fails outside itself is suppressed, a refusal of ours is not."""
    tests = (f"def test_{name}() -> None:\n    with suppress(OSError):\n        {way}\n" for name, way in WAYS.items())
    return "\n".join([HEAD, f"pytestmark = pytest.mark.{cost}", "def test_within() -> None: ...", *tests])


def test_unit_test_that_reaches_outside_fails_whichever_way_it_takes(suite: pytest.Pytester) -> None:
    suite.makepyfile(ways_out("unit"))
    result = suite.runpytest_subprocess("-rf")
    result.assert_outcomes(passed=1, failed=len(WAYS))
    told = "\n".join(result.outlines)
    assert [name for name in WAYS if f"test_{name} is marked unit, and reached outside" not in told] == []


@pytest.mark.parametrize("cost", ["integration", "slow"])
def test_other_tests_may_reach_outside(suite: pytest.Pytester, cost: str) -> None:
    suite.makepyfile(ways_out(cost))
    suite.runpytest_subprocess().assert_outcomes(passed=1 + len(WAYS))


@pytest.mark.parametrize(
    ("ci", "outcome"), [("1", {"errors": 2, "skipped": 1}), ("", {"skipped": 3})], ids=["in CI", "at home"]
)
def test_in_ci_a_skipped_test_of_a_server_is_a_failed_one(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, ci: str, outcome: dict[str, int]
) -> None:
    monkeypatch.setenv("CI", ci)
    suite.makepyfile(SKIPPED)
    result = suite.runpytest_subprocess()
    result.assert_outcomes(**outcome)
    assert result.ret == (pytest.ExitCode.TESTS_FAILED if ci else pytest.ExitCode.OK)
