"""How the suites make ccxt's clients, and what these offer."""

from __future__ import annotations

import inspect
import json
import re
from typing import Any

import ccxt.async_support as ccxt

from tests.conformance.stage import BinanceAccount, BybitAccount

KINDS = {"publicAPI", "privateAPI", "CORS", "sandbox", "spot", "margin", "swap", "future", "option"}
_CODE = re.compile(r'"(?:code|retCode)":\s*"?(-?\d+)')
_BINANCE_PATHS = {
    "fapiPublic": "/fapi/v1",
    "fapiPublicV2": "/fapi/v2",
    "fapiPrivate": "/fapi/v1",
    "fapiPrivateV2": "/fapi/v2",
    "fapiPrivateV3": "/fapi/v3",
    "fapiData": "/futures/data",
    "sapi": "/sapi/v1",
    "public": "/api/v3",
}


def on_binance(account: BinanceAccount, module: Any = ccxt) -> Any:
    """Point a client at the simulator; nothing else of it is changed."""
    client = module.binanceusdm({"apiKey": account.api_key, "secret": account.api_secret})
    for name, path in _BINANCE_PATHS.items():
        client.urls["api"][name] = account.base + path
    host = account.base.replace("http", "ws")
    sockets = json.dumps(client.urls["api"].get("ws", {}))
    client.urls["api"]["ws"] = json.loads(re.sub(r"wss://(ws-)?f(stream|api)\.binance\.com", host, sockets))
    return client


def on_bybit(account: BybitAccount, module: Any = ccxt) -> Any:
    """Point a client at the simulator; nothing else of it is changed."""
    client = module.bybit({"apiKey": account.api_key, "secret": account.api_secret})
    client.urls["api"] = dict.fromkeys(client.urls["api"], account.base) | {"ws": _bybit_sockets(client, account)}
    return client


def _bybit_sockets(client: Any, account: BybitAccount) -> Any:
    host = account.base.replace("http", "ws")
    return json.loads(
        re.sub(r"wss://stream\.(\{hostname\}|bybit\.com)", host, json.dumps(client.urls["api"].get("ws", {})))
    )


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
