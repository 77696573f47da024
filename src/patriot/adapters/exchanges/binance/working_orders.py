"""Whose order is it? A conditional order that fires becomes a working order with an id of its own."""

from collections import deque
from dataclasses import replace

from patriot.trading.reports import OrderReport, TradeReport

REMEMBERED = 10_000  # triggered orders per account
HELD_TRADES = 100  # executions that may still turn out to belong to a conditional order


class WorkingOrders:
    """Give the reports of one account the client id that we chose, whatever id the venue put on the working order.

    The venue usually repeats the client algo id; that is handled, and so is an id of its own. It may also report an
    execution before it says which conditional order it belongs to: then the execution is reported again, under our id.
    """

    def __init__(self) -> None:
        self._client_id_of: dict[str, str] = {}  # by the venue's number of the working order; the oldest goes first
        self._recent: deque[TradeReport] = deque(maxlen=HELD_TRADES)

    def learn(self, conditional: OrderReport) -> list[TradeReport]:
        """Take in a conditional order's report; return executions that were reported under another client id before."""
        working_id = conditional.triggered_order_id
        if working_id is None or working_id in self._client_id_of:
            return []
        self._client_id_of[working_id] = conditional.client_order_id
        if len(self._client_id_of) > REMEMBERED:
            del self._client_id_of[next(iter(self._client_id_of))]
        return [
            self.own_trade(trade)
            for trade in self._recent
            if trade.venue_order_id == working_id and trade.client_order_id != conditional.client_order_id
        ]

    def own_order(self, report: OrderReport) -> OrderReport:
        """Return a plain order's report under the client id we know it by."""
        known = self._client_id_of.get(report.venue_order_id)
        return report if known is None else replace(report, client_order_id=known)

    def own_trade(self, report: TradeReport) -> TradeReport:
        """Return an execution under the client id we know its order by."""
        known = self._client_id_of.get(report.venue_order_id)
        return report if known is None else replace(report, client_order_id=known)

    def streamed_trade(self, report: TradeReport) -> TradeReport:
        """Return an execution from the stream under our client id, and remember it while that is not known."""
        owned = self.own_trade(report)
        if owned is report:
            self._recent.append(report)
        return owned
