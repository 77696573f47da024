"""Looks for clients' keys where none may be: in every event, log, summary and invoice of a data folder."""

from collections.abc import Mapping
from pathlib import Path

from patriot.accounts.ports import ApiKey
from patriot.kernel.feed import LogFeed
from patriot.trading.terms import AccountId

DATABASE = "cluster"
OF_THE_SIMULATOR = ("sim.journal",)


async def find_leaks(feed: LogFeed, keys: Mapping[AccountId, ApiKey], folder: Path) -> tuple[list[str], int]:
    """Return where a key or its secret was found, and how many places were read."""
    needles: dict[str, str] = {}
    for account_id, key in keys.items():
        needles |= {key.api_secret: f"the secret of account {account_id}", key.api_key: f"the key of {account_id}"}
    found: list[str] = []
    places = 0
    async for page in feed.scan():
        for envelope in page:
            places += 1
            found += [
                f"{name} in event {envelope.event_id}" for needle, name in needles.items() if needle in envelope.data
            ]
    texts = _texts(folder)
    found += [f"{name} in {file}" for file, text in texts.items() for needle, name in needles.items() if needle in text]
    return found, places + len(texts)


def _texts(folder: Path) -> dict[str, str]:
    """Return every text of the folder by its path in it: not the database, nor what the simulator knows by nature."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in OF_THE_SIMULATOR)
    named = {path.relative_to(folder): path for path in paths}
    return {str(name): path.read_text(errors="replace") for name, path in named.items() if DATABASE not in name.parts}
