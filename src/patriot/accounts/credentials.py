"""Which keys are taken: they trade and read, and they cannot move money out."""

from patriot.accounts.events import CredentialProblem
from patriot.trading.reports import KeyPermissions

REASONS = {
    CredentialProblem.INVALID: "the exchange does not accept this key",
    CredentialProblem.WITHDRAW_ENABLED: "the key may withdraw: take that right away and offer it again",
    CredentialProblem.TRANSFER_ENABLED: "the key may transfer: take that right away and offer it again",
    CredentialProblem.NO_READ_PERMISSION: "the key may not read: give it that right and offer it again",
    CredentialProblem.NO_TRADE_PERMISSION: "the key may not trade futures: give it that right and offer it again",
    CredentialProblem.IP_NOT_ALLOWED: "the exchange refuses this key from our address",
    CredentialProblem.EXPIRED: "the key has expired",
    CredentialProblem.LINKED_ELSEWHERE: "this account of the exchange is linked already, by somebody else",
}


def problem_of(permissions: KeyPermissions | None) -> CredentialProblem | None:
    """Return the worst problem of a key, or None for a good one; no permissions: the exchange does not know it.

    >>> problem_of(KeyPermissions(read=True, trade=True, withdraw=True, transfer=False, ip_restricted=True)).value
    'WITHDRAW_ENABLED'
    """
    if permissions is None:
        return CredentialProblem.INVALID
    if permissions.withdraw:
        return CredentialProblem.WITHDRAW_ENABLED
    if permissions.transfer:
        return CredentialProblem.TRANSFER_ENABLED
    if not permissions.read:
        return CredentialProblem.NO_READ_PERMISSION
    return None if permissions.trade else CredentialProblem.NO_TRADE_PERMISSION
