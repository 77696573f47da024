"""Who signs: the only object of the adapter that holds an API secret."""

import hashlib
import hmac
import re

from patriot.accounts.ports import ApiKey

API_KEY_HEADER = "X-MBX-APIKEY"
HIDDEN = b"[hidden]"
_SIGNATURE = re.compile(rb"(?i)\b[0-9a-f]{64}\b")


class Signer:
    """Sign requests for one key. The secret is taken into the hash at once and cannot be read back from here."""

    __slots__ = ("_keyed_hash", "headers")

    def __init__(self, key: ApiKey) -> None:
        self.headers = {API_KEY_HEADER: key.api_key}
        self._keyed_hash = hmac.new(key.api_secret.encode(), digestmod=hashlib.sha256)

    def sign(self, text: str) -> str:
        """Return the HMAC-SHA256 of the text in hex."""
        keyed = self._keyed_hash.copy()
        keyed.update(text.encode())
        return keyed.hexdigest()

    def hide(self, text: bytes) -> bytes:
        """Return an answer without what it may repeat of the request: the key and anything of a signature's shape."""
        return _SIGNATURE.sub(HIDDEN, text.replace(self.headers[API_KEY_HEADER].encode(), HIDDEN))

    def __repr__(self) -> str:
        return "Signer()"

    def __reduce__(self) -> str:
        raise TypeError("a Signer does not leave its process")
