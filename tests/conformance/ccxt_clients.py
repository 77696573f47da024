"""How the suites make ccxt's clients, and what these offer."""

from __future__ import annotations

import inspect
import json
import re
from typing import Any

import ccxt.pro as ccxt

from tests.conformance.stage import Account

CLIENTS = {"binance": ccxt.binanceusdm, "bybit": ccxt.bybit}
KINDS = {"publicAPI", "privateAPI", "CORS", "sandbox", "spot", "margin", "swap", "future", "option", "ws"}
_CODE = re.compile(r'"(?:code|retCode)":\s*"?(-?\d+)')


def client_of(account: Account) -> Any:
    """Point a client at the simulator; nothing else of it is changed."""
    client = CLIENTS[account.venue]({"apiKey": account.api_key, "secret": account.api_secret})
    addresses = json.dumps(client.urls["api"])
    addresses = re.sub(r'https://[^/"]+', account.base, addresses)
    client.urls["api"] = json.loads(re.sub(r'wss://[^/"]+', account.base.replace("http", "ws"), addresses))
    return client


def unified_calls(client: Any) -> set[str]:
    """Return the names of what a client says it can do, by REST and by socket."""
    return {name for name, able in client.has.items() if able} - KINDS


async def call(client: Any, name: str, arguments: dict[str, Any]) -> Any:
    """Make a call; arguments that it does not name go to the venue as they are, as ccxt has it."""
    function = getattr(client, name)
    if "_" in name:
        return await function(arguments)
    known = inspect.signature(function).parameters
    own = {key: value for key, value in arguments.items() if key in known}
    more = {key: value for key, value in arguments.items() if key not in known}
    return await function(**own, **({"params": more} if more else {}))


def code_of(error: Exception) -> str:
    """Return the venue's code that a refusal carries, or all of its words."""
    found = _CODE.search(str(error))
    return found[1] if found else repr(error)
