"""The vault of a data folder at a start: no new master key beside sealed keys, and none that opens nothing."""

from dataclasses import dataclass

from patriot.adapters.vault import MASTER_KEY_VARIABLE, PostgresShelf, Vault, load_master_key
from patriot.host.data_folder import DataFolder
from patriot.kernel.errors import StartupError
from patriot.kernel.sql import Sql
from patriot.trading.terms import AccountId


@dataclass(frozen=True, slots=True)
class FolderVault:
    """The vault, and the accounts whose keys it holds and does not open: they cannot trade."""

    vault: Vault
    unopened: tuple[AccountId, ...]


async def open_folder_vault(folder: DataFolder, from_environment: str | None, sql: Sql) -> FolderVault:
    """Return the vault of a platform that is to trade; where no key is sealed yet, a missing master key is made.

    Errors: StartupError naming the file or the variable, where the master key is missing or opens no key.
    """
    shelf = PostgresShelf(sql)
    sealed = await shelf.newest()
    if sealed and not from_environment and not folder.master_key.exists():
        raise StartupError(
            f"{folder.master_key} is missing, and the keys of {_accounts(len(sealed))} are sealed with it: "
            f"put it back from your backup, or set {MASTER_KEY_VARIABLE} to what it held"
        )
    vault = Vault(shelf, load_master_key(folder.master_key, from_environment))
    unopened = await vault.unopened()
    if sealed and len(unopened) == len(sealed):
        source = MASTER_KEY_VARIABLE if from_environment else folder.master_key
        raise StartupError(
            f"{source} opens none of the sealed keys of {_accounts(len(sealed))}: put the right master key back from "
            "your backup"
        )
    return FolderVault(vault, tuple(unopened))


def _accounts(count: int) -> str:
    return "1 account" if count == 1 else f"{count} accounts"
