"""The kill at a named step: exactly there, exactly then, and never by a misspelled wish."""

import signal
import subprocess
import sys

import pytest

from patriot.host.crash import VARIABLE, crash_from_environment
from patriot.kernel.errors import StartupError
from patriot.trading.steps import pass_by

pytestmark = pytest.mark.integration

PASSES = """
from patriot.trading.steps import Step
from patriot.host.crash import crash_from_environment
reached = crash_from_environment()
for number in range(1, 5):
    reached(Step.ORDER_CREATED)
    print(number, flush=True)
    reached(Step.ORDER_SENT)
"""


def test_process_without_a_wish_passes_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)

    assert crash_from_environment() is pass_by


@pytest.mark.parametrize("wish", ["nowhere", "order-sent:", "order-sent:soon", ":3", "order-sent:-1", "order-sent:0"])
def test_wish_that_names_no_step_or_no_number_is_refused(wish: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, wish)

    with pytest.raises(StartupError, match=f"{VARIABLE}: expected STEP or STEP:N"):
        crash_from_environment()


@pytest.mark.parametrize(("wish", "printed"), [("order-created", ""), ("order-sent", "1"), ("order-sent:3", "1 2 3")])
def test_process_dies_at_the_step_and_the_time_it_was_told(wish: str, printed: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PASSES], env={VARIABLE: wish}, capture_output=True, text=True, check=False
    )

    assert ended.returncode == -signal.SIGKILL
    assert ended.stdout.split() == printed.split()
