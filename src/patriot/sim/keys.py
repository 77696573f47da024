"""The API keys of simulated accounts. Secrets come from the operating system and live here and in the journal only."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from patriot.sim.engine.words import Permission


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key of one account; its secret never shows in a repr."""

    api_key: str
    uid: int
    permissions: tuple[Permission, ...]
    secret: bytes = field(repr=False)
    created_ms: int = 0
    public_key: bytes | None = None  # PEM of an Ed25519 or RSA key, whose private half only the client has


class KeyRing:
    """Every key that is good, by its public half."""

    def __init__(self) -> None:
        self._keys: dict[str, ApiKey] = {}
        self._by_account: dict[int, dict[str, ApiKey]] = {}

    def add(self, key: ApiKey) -> None:
        """Add a key, or replace the one of the same name."""
        self._keys[key.api_key] = key
        self._by_account.setdefault(key.uid, {})[key.api_key] = key

    def remove(self, api_key: str) -> None:
        """Forget a key; one that is not there is gone already."""
        key = self._keys.pop(api_key, None)
        if key is not None:
            del self._by_account[key.uid][api_key]

    def find(self, api_key: str) -> ApiKey | None:
        return self._keys.get(api_key)

    def of(self, uid: int) -> Iterable[ApiKey]:
        return tuple(self._by_account.get(uid, {}).values())
