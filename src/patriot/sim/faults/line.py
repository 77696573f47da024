"""The line between a stream and its sockets: where messages get lost, doubled, late, out of order or silent."""

from collections.abc import Callable

from patriot.sim.faults.rules import Faults, StreamFault

Send = Callable[[], None]
CallLater = Callable[[float, Send], None]  # seconds, action


class Line:
    """The line of one venue. A stream is named by its owner: an account, or, of public data, its topic."""

    def __init__(self, faults: Faults, venue: str, call_later: CallLater) -> None:
        self._faults = faults
        self._venue = venue
        self._call_later = call_later
        self._held: dict[int | str, list[Send]] = {}  # reordered messages that wait for the next of their stream

    def private(self, uid: int, event: str, symbol: str, send: Send, cut: Send) -> None:
        """Send a message of an account; cut closes the account's sockets."""
        if self._faults.on_streams or self._held:
            self._pass(uid, uid, event, symbol, send, cut)
        else:
            send()

    def public(self, topic: str, event: str, symbol: str, send: Send, cut: Send) -> None:
        """Send a message of a public topic; cut closes the sockets that listen to it."""
        if self._faults.on_streams or self._held:
            self._pass(topic, None, event, symbol, send, cut)
        else:
            send()

    def _pass(self, stream: int | str, uid: int | None, event: str, symbol: str, send: Send, cut: Send) -> None:
        rule = self._faults.on_message(self._venue, uid, event, symbol=symbol)
        if rule is not None and rule.fault is StreamFault.REORDER:
            self._held.setdefault(stream, []).append(send)
            return
        match rule.fault if rule is not None else None:
            case StreamFault.DROP | StreamFault.SILENT:
                pass
            case StreamFault.DISCONNECT:
                cut()
            case StreamFault.DELAY if rule is not None:
                self._call_later(rule.delay_ms / 1000, send)
            case StreamFault.DUPLICATE:
                send()
                send()
            case _:
                send()
        for waiting in self._held.pop(stream, ()):
            waiting()
