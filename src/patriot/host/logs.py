"""Logs as JSON lines in one file of the data folder, or on standard error: an event name and fields, never a secret.

Tracebacks name files, lines and errors, and no local variables: a frame of the wire holds keys and signed requests.
"""

import logging
import sys
from pathlib import Path
from typing import TextIO

import structlog
from structlog.processors import ExceptionRenderer
from structlog.tracebacks import ExceptionDictTransformer


def log_to(path: Path | None, level: str = "INFO") -> None:
    """Send logs to a file (appended to), or to standard error."""
    target: TextIO = sys.stderr
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        target = path.open("a", buffering=1)
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
    ]
    renderer = structlog.processors.JSONRenderer()
    libraries = logging.StreamHandler(target)  # what a driver or a web server has to say goes the same way
    libraries.setFormatter(structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared))
    logging.basicConfig(level=logging.WARNING, handlers=[libraries], force=True)
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.WriteLoggerFactory(target),
        cache_logger_on_first_use=False,
    )
