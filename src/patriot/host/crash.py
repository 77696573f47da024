"""Kills this process at a named step, so that a test can see what a real kill leaves behind."""

import os
import signal

from patriot.kernel.errors import StartupError
from patriot.trading.steps import Reached, Step, pass_by

VARIABLE = "PATRIOT_KILL_AT"  # "order-submitted" or "order-submitted:3": at the third time


def crash_from_environment() -> Reached:
    """Return what to do at each step: nothing, unless the environment names one. Errors: StartupError."""
    wish = os.environ.get(VARIABLE)
    if not wish:
        return pass_by
    name, _, times = (wish if ":" in wish else f"{wish}:1").partition(":")
    if name not in set(Step) or not times.isdecimal() or int(times) == 0:
        raise StartupError(f"{VARIABLE}: expected STEP or STEP:N with a step of {', '.join(Step)}, found {wish!r}")
    left = int(times)

    def reached(step: Step) -> None:
        nonlocal left
        if step == name:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return reached
