"""The lines that `patriot sim --help` shows do what they promise, with the clients as they are installed."""

import asyncio
import sys
from pathlib import Path

import pytest

from patriot.cli.sim_clients import CLIENTS, epilog
from tests.sim.processes import process

pytestmark = pytest.mark.integration

LONGEST_LINE = 78  # of help on a terminal of 80 columns: a longer one is folded, and cannot be pasted

# What each client then does: one signed order, and one public answer.
DOES = {
    "ccxt on Binance (ccxt.pro for its sockets)": (
        'made = exchange.create_order("BTC/USDT:USDT", "limit", "buy", 0.01, 20000)',
        'print(made["symbol"], exchange.fetch_balance()["USDT"]["total"])',
    ),
    "ccxt on Bybit (ccxt.pro for its sockets)": (
        'made = exchange.create_order("BTC/USDT:USDT", "limit", "buy", 0.01, 41000)',
        'print(exchange.fetch_open_orders("BTC/USDT:USDT")[0]["symbol"], exchange.fetch_balance()["USDT"]["total"])',
    ),
    "python-binance": (
        "made = client.futures_create_order(symbol='BTCUSDT', side='BUY', type='MARKET', quantity=0.01)",
        "print('BTC/USDT:USDT', float(client.futures_account_balance()[0]['balance']))",
    ),
    "binance-futures-connector": (
        "made = client.new_order(symbol='BTCUSDT', side='BUY', type='MARKET', quantity=0.01)",
        "print('BTC/USDT:USDT', float(client.balance()[0]['balance']))",
    ),
    "pybit": (
        "session.place_order(category='linear', symbol='BTCUSDT', side='Buy', orderType='Market', qty='0.01')",
        "coins = session.get_wallet_balance(accountType='UNIFIED')['result']['list'][0]['coin']",
        "print('BTC/USDT:USDT', float(coins[0]['walletBalance']))",
    ),
}


def test_help_shows_lines_that_can_be_pasted() -> None:
    text = epilog()

    assert max(map(len, text.splitlines())) <= LONGEST_LINE
    assert all(line in text for lines in CLIENTS.values() for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize("title", CLIENTS)
async def test_pasted_lines_trade_on_the_simulator(title: str, tmp_path: Path) -> None:
    async with process("--speed", "step") as sim:
        venue = "bybit" if "9102" in "".join(CLIENTS[title]) else "binance"
        made = await sim.control("POST", "/accounts", {"venue": venue, "balance": "10000"})
        keys = (f"KEY, SECRET = {made['api_key']!r}, {made['api_secret']!r}",)
        program = "\n".join((*keys, *CLIENTS[title], *DOES[title]))
        for port, name in (("9101", "binance_port"), ("9102", "bybit_port")):
            program = program.replace(port, str(sim.ports[name]))
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "ignore", "-c", program),
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        said, wrong = await child.communicate()

    assert child.returncode == 0, wrong.decode()
    symbol, balance = said.decode().split()
    assert symbol == "BTC/USDT:USDT"
    assert 9_990 < float(balance) <= 10_000
