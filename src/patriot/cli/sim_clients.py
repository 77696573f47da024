"""How to point public clients at the simulator: the lines to paste, shown by `patriot sim --help`."""

from typing import Final

_CCXT: Final = (
    'api = json.dumps(exchange.urls["api"])',
    """api = re.sub(r'https://[^/"]+', "http://127.0.0.1:{port}", api)""",
    """api = re.sub(r'wss://[^/"]+', "ws://127.0.0.1:{port}", api)""",
    'exchange.urls["api"] = json.loads(api)',
)


def _ccxt(first: str, port: int) -> tuple[str, ...]:
    return ("import ccxt, json, re", first, *(line.replace("{port}", str(port)) for line in _CCXT))


# Title, and lines of Python in which KEY and SECRET are those of an account.
CLIENTS: Final = {
    "ccxt on Binance (ccxt.pro for its sockets)": _ccxt(
        'exchange = ccxt.binanceusdm({"apiKey": KEY, "secret": SECRET})', 9101
    ),
    "ccxt on Bybit (ccxt.pro for its sockets)": _ccxt('exchange = ccxt.bybit({"apiKey": KEY, "secret": SECRET})', 9102),
    "python-binance": (
        "from binance.client import Client",
        "from binance.ws.streams import BinanceSocketManager",
        "client = Client(KEY, SECRET, ping=False)",
        'client.FUTURES_URL = "http://127.0.0.1:9101/fapi"',
        'client.FUTURES_DATA_URL = "http://127.0.0.1:9101/futures/data"',
        'BinanceSocketManager.FSTREAM_URL = "ws://127.0.0.1:9101/"',
    ),
    "binance-futures-connector": (
        "from binance.um_futures import UMFutures",
        'client = UMFutures(KEY, SECRET, base_url="http://127.0.0.1:9101")',
    ),
    "pybit": (
        "from pybit import _websocket_trading, unified_trading",
        "session = unified_trading.HTTP(api_key=KEY, api_secret=SECRET)",
        'session.endpoint = "http://127.0.0.1:9102"',
        'unified_trading.PUBLIC_WSS = "ws://127.0.0.1:9102/v5/public/{CHANNEL_TYPE}"',
        'unified_trading.PRIVATE_WSS = "ws://127.0.0.1:9102/v5/private"',
        '_websocket_trading.TRADE_WSS = "ws://127.0.0.1:9102/v5/trade"',
    ),
}

_INTRODUCTION: Final = (
    "Unmodified public clients trade here. Make an account on the control port:",
    'curl -H "Authorization: Bearer $PATRIOT_SIM_TOKEN" 127.0.0.1:9100/accounts \\',
    """-d '{"venue": "binance", "balance": "10000"}'     (or "bybit")""",
    "Its answer has KEY and SECRET for these lines:",
)


def epilog() -> str:
    """Return the text below the options: one paragraph for each client."""
    paragraphs = ["\n".join(_INTRODUCTION)]
    paragraphs += ["\n".join((f"{title}:", *lines)) for title, lines in CLIENTS.items()]
    return "\n\n".join(paragraphs)
