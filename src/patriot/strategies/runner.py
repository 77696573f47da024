"""The process that one strategy runs in: `python -m patriot.strategies.runner`, spoken to as `protocol.py` says.

It holds no key and no connection, and ends when its standard input closes. It imports as little as possible.
"""

import os
import signal
import sys

import msgspec

from patriot.kernel.errors import PatriotError
from patriot.strategies.catalogue import build
from patriot.strategies.interface import Strategy
from patriot.strategies.protocol import BARS, CONFIGURATIONS, Answer, lines_of

ALARM_SECONDS = 60  # one line may take this long; then the process ends, also when nobody is left to end it


class Conversation:
    """The runner's side, without the pipe: a line in, an answer out when one is due."""

    def __init__(self) -> None:
        self._strategy: Strategy | None = None
        self._history = 0

    def hear(self, line: bytes) -> bytes | None:
        """Take in one line; return the answer, or None while history is still coming."""
        try:
            answer = self._answer(line)
        except (PatriotError, msgspec.MsgspecError) as error:
            answer = Answer(error=str(error))
        except Exception as error:  # noqa: BLE001  a strategy may raise anything; the supervisor decides what follows
            answer = Answer(error=f"{type(error).__name__}: {error}")
        return None if answer is None else lines_of([answer])

    def _answer(self, line: bytes) -> Answer | None:
        if self._strategy is None:
            configuration = CONFIGURATIONS.decode(line)
            self._strategy = build(configuration.spec)
            self._history = configuration.history
            return None if self._history else Answer()
        bar = BARS.decode(line).bar
        wishes = self._strategy.on_bar(bar)
        self._history -= 1
        return None if self._history > 0 else Answer(bar.closed_at, wishes)


def main() -> None:
    """Answer lines until standard input closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; we end after the platform did
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a strategy prints must not look like an answer
    conversation = Conversation()
    for line in sys.stdin.buffer:
        signal.alarm(ALARM_SECONDS)
        answer = conversation.hear(line)
        signal.alarm(0)
        if answer is not None:
            answers.write(answer)
            answers.flush()


if __name__ == "__main__":
    main()
