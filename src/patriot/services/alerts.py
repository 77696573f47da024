"""Alerts as log lines: what a person must act on."""

import structlog

log = structlog.get_logger()


class LogAlerts:
    """Alerts as log lines of level CRITICAL, and a count for the metrics."""

    def __init__(self) -> None:
        self.raised = 0

    def critical(self, name: str, **fields: object) -> None:
        """Raise an alert that someone must act on."""
        self.raised += 1
        log.critical(name, **{key: str(value) for key, value in fields.items()})
