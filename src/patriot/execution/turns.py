"""When it is an account's turn to be looked at: accounts behind one address do not all ask in the same moment. Pure."""

from patriot.trading.terms import AccountId

HOLDING_SECONDS = 30.0  # between looks at an account that holds something
IDLE_SECONDS = 300.0


class Turns:
    """Those of one account, fixed by its id. Units: monotonic seconds."""

    def __init__(self, account_id: AccountId) -> None:
        self._ahead = account_id.int % int(1000 * IDLE_SECONDS) / 1000

    def has_come(self, looked_at: float, now: float, *, holding: bool) -> bool:
        """Return whether a turn has begun since the last look."""
        seconds = HOLDING_SECONDS if holding else IDLE_SECONDS
        return (now + self._ahead) // seconds > (looked_at + self._ahead) // seconds
