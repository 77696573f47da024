"""The error tree of PATRIOT. One table in the API maps it to HTTP status codes; nothing else is raised on purpose.

Messages say what was expected and what was found, and never carry a secret.
"""


class PatriotError(Exception):
    """Root of every error raised on purpose."""


class InvalidInput(PatriotError):
    """A value from outside is malformed; the message opens with the name of the field."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field


class CommandRefused(PatriotError):
    """The rules say no. Nothing was changed."""


class NotFound(PatriotError):
    """No such thing, or none that the caller may see."""


class NotPermitted(PatriotError):
    """The caller is known and may not do this."""


class VersionConflict(PatriotError):
    """Someone wrote to the stream first: reload and decide again."""


class IdempotencyMismatch(PatriotError):
    """An idempotency key came back with another request behind it."""


class LeaseLost(PatriotError):
    """Another owner holds the account now: stop writing for it."""


class StoreUnavailable(PatriotError):
    """The database cannot be reached; nothing is known to be committed. Repeating the same call is safe."""


class HistoryDamaged(PatriotError):
    """An event, a chain hash or a projection does not match what the log proves."""


class EndedByItself(PatriotError):
    """Work that was to go on ended without an error of its own: whoever keeps it starts it again."""


class StartupError(PatriotError):
    """PATRIOT cannot start; the message is one sentence that says what to do."""


class ExchangeError(PatriotError):
    """Anything an exchange, or the way to it, did to a request."""


class ExchangeRefused(ExchangeError):
    """The exchange's final answer is no: the request had no effect."""

    def __init__(self, code: int, message: str, *, about_key: bool = False, nothing_to_reduce: bool = False) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.reason = message
        self.about_key = about_key  # and its rights, whatever was asked for
        self.nothing_to_reduce = nothing_to_reduce  # less is held than an order was to reduce


class ExchangeUnavailable(ExchangeError):
    """Nothing was sent, or the exchange said that it did nothing; repeating later is safe."""

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class OutcomeUnknown(ExchangeError):
    """Sent, and no clear answer came: ask by client order id, never resend blindly."""


def in_words(error: BaseException) -> str:
    """Return what an error says, those of a group one behind the other.

    >>> in_words(ExceptionGroup("two", [LeaseLost("account 7"), StoreUnavailable("away")]))
    'LeaseLost: account 7; StoreUnavailable: away'
    """
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(in_words(one) for one in error.exceptions)
    return f"{type(error).__name__}: {error}"
