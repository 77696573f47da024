"""How a request is signed: HMAC SHA-256 in hexadecimal; Ed25519, or RSA with PKCS #1 v1.5 and SHA-256, in base64.

Source: USD-M Futures, general info and "Session Authentication", read 2026-11-22.
"""

import binascii
import hashlib
import hmac
from base64 import b64decode
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from patriot.sim.keys import ApiKey

PublicKey = Ed25519PublicKey | RSAPublicKey
KEYS_KEPT_OPEN = 4_096
LEAST_RSA_BITS = 2_048


@lru_cache(maxsize=KEYS_KEPT_OPEN)
def open_public_key(pem: bytes) -> PublicKey:
    """Read a public key of an account.

    Errors: ValueError for anything but the PEM of an Ed25519 key, or of an RSA key of 2048 bits or more.
    """
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError("expected a public key in PEM") from error
    if isinstance(key, RSAPublicKey) and key.key_size >= LEAST_RSA_BITS:
        return key
    if isinstance(key, Ed25519PublicKey):
        return key
    raise ValueError(f"expected an Ed25519 key, or an RSA key of at least {LEAST_RSA_BITS} bits")


def is_signed_by(key: ApiKey, text: bytes, signature: str) -> bool:
    """Whether the signature is the key's own over this text."""
    if key.public_key is None:
        own = hmac.digest(key.secret, text, hashlib.sha256).hex()
        return hmac.compare_digest(own.encode(), signature.lower().encode("utf-8", "surrogateescape"))
    try:
        given = b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return False
    public_key = open_public_key(key.public_key)
    try:
        if isinstance(public_key, RSAPublicKey):
            public_key.verify(given, text, PKCS1v15(), SHA256())
        else:
            public_key.verify(given, text)
    except InvalidSignature:
        return False
    return True
