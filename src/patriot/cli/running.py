"""Runs a coroutine for a command: Ctrl-C and SIGTERM end it cleanly, an expected error is one sentence."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

import typer
import uvloop

from patriot.kernel.errors import PatriotError

T = TypeVar("T")
INTERRUPTED = 130  # what shells give a command that Ctrl-C ended


def run(work: Coroutine[Any, Any, T], *, interrupted: str = "") -> T:
    """Return what the work returns.

    Exits with 2 and one sentence on an expected error or a file that cannot be used, with 130 when interrupted.
    """
    try:
        return uvloop.run(_interruptible(work))
    except asyncio.CancelledError:
        typer.echo(f"\ninterrupted. {interrupted}".rstrip(), err=True)
        raise typer.Exit(INTERRUPTED) from None
    except PatriotError as error:
        typer.echo(f"patriot: {error}", err=True)
        raise typer.Exit(2) from error
    except OSError as error:
        if error.filename is None:
            raise
        typer.echo(f"patriot: {error.filename}: {error.strerror}", err=True)
        raise typer.Exit(2) from error
    except ExceptionGroup as group:
        expected, other = group.split(PatriotError)
        if expected is None or other is not None:
            raise
        typer.echo(f"patriot: {_first(expected)}", err=True)
        raise typer.Exit(2) from group


async def _interruptible(work: Coroutine[Any, Any, T]) -> T:
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    return await task


def _first(group: BaseException) -> BaseException:
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group
