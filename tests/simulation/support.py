"""What tests of the simulation share."""

import asyncio
from collections.abc import Coroutine
from contextvars import copy_context
from typing import Any

from patriot.simulation.loop import LIFE, Life


def start_in(life: Life, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
    """Start something as a process of its own."""
    context = copy_context()
    context.run(LIFE.set, life)
    return asyncio.get_running_loop().create_task(work, context=context)
