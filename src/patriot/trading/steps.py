"""Named steps of the order path, so that a test can stop the process exactly there."""

from collections.abc import Callable
from enum import StrEnum


class Step(StrEnum):
    """Where a kill must lose and double nothing."""

    ACCOUNT_LINKED = "account-linked"
    SIGNAL_RECORDED = "signal-recorded"
    ORDER_CREATED = "order-created"
    ORDER_SUBMITTED = "order-submitted"  # recorded, the wire not touched yet
    ORDER_SENT = "order-sent"  # the exchange answered, nothing recorded yet
    ORDER_ACCEPTED = "order-accepted"
    FILL_RECEIVED = "fill-received"
    FILL_RECORDED = "fill-recorded"
    STOP_SENT = "stop-sent"
    STOP_ACCEPTED = "stop-accepted"
    TARGET_SENT = "target-sent"
    CLOSE_SENT = "close-sent"
    CANCEL_SENT = "cancel-sent"
    POSITION_CLOSED = "position-closed"
    SIGNAL_ROUTED = "signal-routed"
    EQUITY_SAMPLED = "equity-sampled"
    INVOICE_ISSUED = "invoice-issued"


Reached = Callable[[Step], None]


def pass_by(step: Step) -> None:
    """Do nothing at a step: what production does."""
