"""Logs as JSON lines in one file of the data folder, or on standard error: an event name and fields, never a secret.

Every line from INFO up is counted by its event name, written or not: the metrics say how often what happened.
A line that cannot be written, on a full disk, is counted and lost: whoever trades goes on.
Tracebacks name files, lines and errors, and no local variables: a frame of the wire holds keys and signed requests.
"""

import logging
import sys
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TextIO, cast

import structlog
from structlog.processors import ExceptionRenderer
from structlog.tracebacks import ExceptionDictTransformer

LIBRARIES = "library"  # their lines have no event names
LOST = "log.lost"

_counts: Counter[str] = Counter()  # of this process, like the configuration of its logs


def lines_logged() -> Mapping[str, float]:
    """Return how often each event was logged since the start of the process, or held back by the level of the log."""
    return {name: float(count) for name, count in _counts.items()}


class LossyText:
    """A text stream for which a full disk is no error."""

    def __init__(self, target: TextIO) -> None:
        self._target = target

    def write(self, text: str) -> int:
        """Write, or lose and count it."""
        try:
            return self._target.write(text)
        except OSError:
            _counts[LOST] += 1
            return len(text)

    def flush(self) -> None:
        """Hand on what was written, if it can be."""
        with suppress(OSError):
            self._target.flush()

    def close(self) -> None:
        """Close what is written to."""
        with suppress(OSError):
            self._target.close()


def log_to(path: Path | None, level: str = "INFO") -> None:
    """Send logs to a file (appended to), or to standard error."""
    target: TextIO = sys.stderr
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        target = path.open("a", buffering=1)
    lossy = cast("TextIO", LossyText(target))
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
    ]
    renderer = structlog.processors.JSONRenderer()
    libraries = logging.StreamHandler(lossy)  # what a driver or a web server has to say goes the same way
    libraries.addFilter(_count_library)
    libraries.setFormatter(structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared))
    logging.basicConfig(level=logging.WARNING, handlers=[libraries], force=True)
    least: int = logging.getLevelName(level)
    structlog.configure(
        processors=[_counter_above(least), *shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(min(least, logging.INFO)),
        logger_factory=structlog.WriteLoggerFactory(lossy),
        cache_logger_on_first_use=False,
    )


def _counter_above(least: int) -> structlog.types.Processor:
    """Return what counts every line, and drops those below a level only then."""

    def count(_logger: object, method: str, line: structlog.types.EventDict) -> structlog.types.EventDict:
        _counts[str(line["event"])] += 1
        if structlog.processors.NAME_TO_LEVEL[method] < least:
            raise structlog.DropEvent
        return line

    return count


def _count_library(_record: logging.LogRecord) -> bool:
    _counts[LIBRARIES] += 1
    return True
