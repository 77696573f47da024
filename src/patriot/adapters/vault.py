"""Clients' exchange keys at rest: AES-256-GCM in an envelope, one random data key per key, wrapped by the master key.

Account and version are authenticated with it, so a sealed key that was moved to another account does not open. Only the
process that signs has the master key.
"""

import base64
import binascii
import hmac
import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from patriot.accounts.ports import ApiKey
from patriot.kernel.errors import CommandRefused, NotFound, StartupError
from patriot.kernel.sql import Sql
from patriot.trading.terms import AccountId

KEY_BYTES = 32
NONCE_BYTES = 12  # 96 bits, random; a data key seals once, the master key far below 2**32 times (NIST SP 800-38D 8.3)
MASTER_KEY_VARIABLE = "PATRIOT_MASTER_KEY"


class MasterKey:
    """The key that wraps data keys. It cannot be read back from here."""

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise StartupError(f"the master key has {len(key)} bytes: expected {KEY_BYTES}")
        self._cipher = AESGCM(key)

    @classmethod
    def from_base64(cls, text: str) -> Self:
        """Return the key of the environment variable. Errors: StartupError."""
        try:
            key = base64.b64decode(text.strip(), validate=True)
        except (binascii.Error, ValueError):
            raise StartupError(f"{MASTER_KEY_VARIABLE} is not base64: set it to 32 random bytes in base64") from None
        if len(key) != KEY_BYTES:
            raise StartupError(f"{MASTER_KEY_VARIABLE} has {len(key)} bytes: set it to 32 random bytes in base64")
        return cls(key)

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Return the key of a file that only its owner can read; a missing file is made. Errors: StartupError."""
        try:
            _create(path)
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & 0o077:
                raise StartupError(f"{path} can be read by others (mode {mode:04o}): run chmod 600 {path}")
            key = path.read_bytes()
        except OSError as error:
            raise StartupError(f"the master key {path} cannot be opened ({error.strerror}): check its folder") from None
        if len(key) != KEY_BYTES:
            raise StartupError(f"{path} has {len(key)} bytes, expected {KEY_BYTES}: put the saved master key back")
        return cls(key)

    def wrap(self, data_key: bytes, bound_to: bytes) -> bytes:
        """Return a data key encrypted."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, data_key, bound_to)

    def unwrap(self, wrapped: bytes, bound_to: bytes) -> bytes:
        """Return a data key in the clear. Errors: InvalidTag."""
        return self._cipher.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], bound_to)

    def __repr__(self) -> str:
        return "MasterKey()"

    def __reduce__(self) -> str:
        raise TypeError("a MasterKey does not leave its process")


def load_master_key(file: Path, from_environment: str | None) -> MasterKey:
    """Return the master key of the environment, or else of the file. Errors: StartupError, one sentence."""
    return MasterKey.from_base64(from_environment) if from_environment else MasterKey.from_file(file)


def _create(path: Path) -> None:
    """Make the file if there is none: complete on disk before it has its name, and never over another one."""
    if path.exists():
        return
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)  # refused if another process was first: its key is the one that counts
        except FileExistsError:
            return
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        draft.unlink()


@dataclass(frozen=True, slots=True)
class SealedKey:
    """A key that nobody can read without the master key."""

    wrapped_key: bytes = field(repr=False)
    ciphertext: bytes = field(repr=False)


def seal(master: MasterKey, account_id: AccountId, version: int, key: ApiKey) -> SealedKey:
    """Return a key sealed for one account and version."""
    bound_to = _bound_to(account_id, version)
    data_key, nonce = AESGCM.generate_key(KEY_BYTES * 8), secrets.token_bytes(NONCE_BYTES)
    text = msgspec.json.encode((key.api_key, key.api_secret))
    ciphertext = nonce + AESGCM(data_key).encrypt(nonce, text, bound_to)
    return SealedKey(master.wrap(data_key, bound_to), ciphertext)


def unseal(master: MasterKey, account_id: AccountId, version: int, sealed: SealedKey) -> ApiKey:
    """Return the key. Errors: NotFound if it was sealed by another master key, or for another account or version."""
    bound_to = _bound_to(account_id, version)
    try:
        cipher = AESGCM(master.unwrap(sealed.wrapped_key, bound_to))
        text = cipher.decrypt(sealed.ciphertext[:NONCE_BYTES], sealed.ciphertext[NONCE_BYTES:], bound_to)
    except (InvalidTag, ValueError):
        raise NotFound(
            f"account {account_id}: its sealed key does not open: "
            "the master key is another one, or the key was sealed for another account"
        ) from None
    return ApiKey(*msgspec.json.decode(text, type=tuple[str, str]))


def _bound_to(account_id: AccountId, version: int) -> bytes:
    return b"patriot.api-key\x1f" + account_id.bytes + version.to_bytes(8, "big")


def _same(one: ApiKey, other: ApiKey) -> bool:
    return hmac.compare_digest(one.api_key, other.api_key) and hmac.compare_digest(one.api_secret, other.api_secret)


class _Shelf(Protocol):
    """Where sealed keys lie."""

    async def put(self, account_id: AccountId, version: int, sealed: SealedKey) -> bool: ...
    async def find(self, account_id: AccountId, version: int | None) -> tuple[int, SealedKey] | None: ...
    async def newest(self) -> list[tuple[AccountId, int, SealedKey]]: ...
    async def clear(self, account_id: AccountId) -> None: ...


class Vault:
    """`KeyVault` over any shelf."""

    def __init__(self, shelf: _Shelf, master: MasterKey) -> None:
        self._shelf = shelf
        self._master = master

    async def store(self, account_id: AccountId, version: int, key: ApiKey) -> None:
        """See `KeyVault.store`."""
        if await self._shelf.put(account_id, version, seal(self._master, account_id, version, key)):
            return
        found = await self._shelf.find(account_id, version)
        if found is None or not _same(unseal(self._master, account_id, version, found[1]), key):
            raise CommandRefused(f"account {account_id}: another key of version {version} is kept already")

    async def open(self, account_id: AccountId) -> ApiKey:
        """See `KeyVault.open`."""
        found = await self._shelf.find(account_id, None)
        if found is None:
            raise NotFound(f"account {account_id}: no key is kept")
        version, sealed = found
        return unseal(self._master, account_id, version, sealed)

    async def unopened(self) -> list[AccountId]:
        """Return the accounts whose newest key is kept and does not open."""
        return [one for one, version, sealed in await self._shelf.newest() if not self._opens(one, version, sealed)]

    def _opens(self, account_id: AccountId, version: int, sealed: SealedKey) -> bool:
        try:
            unseal(self._master, account_id, version, sealed)
        except NotFound:
            return False
        return True

    async def destroy(self, account_id: AccountId) -> None:
        """See `KeyVault.destroy`."""
        await self._shelf.clear(account_id)


_PUT = """
    INSERT INTO identity.sealed_keys (account_id, version, wrapped_key, ciphertext) VALUES ($1, $2, $3, $4)
    ON CONFLICT DO NOTHING RETURNING version
"""
_FIND = """
    SELECT version, wrapped_key, ciphertext FROM identity.sealed_keys
    WHERE account_id = $1 AND ($2::integer IS NULL OR version = $2) ORDER BY version DESC LIMIT 1
"""
_NEWEST = """
    SELECT DISTINCT ON (account_id) account_id, version, wrapped_key, ciphertext FROM identity.sealed_keys
    ORDER BY account_id, version DESC
"""
_CLEAR = "DELETE FROM identity.sealed_keys WHERE account_id = $1"


class PostgresShelf:
    """Sealed keys in `identity.sealed_keys`."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    async def put(self, account_id: AccountId, version: int, sealed: SealedKey) -> bool:
        """Keep a sealed key; return False if one of this version lies there."""
        return bool(await self._sql.fetch(_PUT, account_id, version, sealed.wrapped_key, sealed.ciphertext))

    async def find(self, account_id: AccountId, version: int | None) -> tuple[int, SealedKey] | None:
        """Return the sealed key of a version, or the newest."""
        rows = await self._sql.fetch(_FIND, account_id, version)
        return (rows[0]["version"], SealedKey(rows[0]["wrapped_key"], rows[0]["ciphertext"])) if rows else None

    async def newest(self) -> list[tuple[AccountId, int, SealedKey]]:
        """Return the newest sealed key of each account, with its version."""
        rows = await self._sql.fetch(_NEWEST)
        return [
            (AccountId(row["account_id"]), row["version"], SealedKey(row["wrapped_key"], row["ciphertext"]))
            for row in rows
        ]

    async def clear(self, account_id: AccountId) -> None:
        """Take every key of an account away."""
        await self._sql.execute(_CLEAR, account_id)


class MemoryShelf:
    """Sealed keys in memory, for tests and for simulation."""

    def __init__(self) -> None:
        self._kept: dict[UUID, dict[int, SealedKey]] = {}

    async def put(self, account_id: AccountId, version: int, sealed: SealedKey) -> bool:
        """See `PostgresShelf.put`."""
        versions = self._kept.setdefault(account_id, {})
        if version in versions:
            return False
        versions[version] = sealed
        return True

    async def find(self, account_id: AccountId, version: int | None) -> tuple[int, SealedKey] | None:
        """See `PostgresShelf.find`."""
        versions = self._kept.get(account_id, {})
        wanted = max(versions, default=None) if version is None else version
        return (wanted, versions[wanted]) if wanted in versions else None

    async def newest(self) -> list[tuple[AccountId, int, SealedKey]]:
        """See `PostgresShelf.newest`."""
        newest = {account_id: max(versions) for account_id, versions in self._kept.items()}
        return [(AccountId(one), version, self._kept[one][version]) for one, version in sorted(newest.items())]

    async def clear(self, account_id: AccountId) -> None:
        """See `PostgresShelf.clear`."""
        self._kept.pop(account_id, None)
