"""What the tests of risk metrics hold, and how their prices moved."""

import random
from collections.abc import Sequence
from decimal import Decimal
from itertools import cycle, islice
from uuid import UUID

import numpy as np

from patriot.risk.history import HOURS_A_DAY, LOOKBACK_DAYS, LOOKBACK_HOURS, Floats, History, Window, summarize
from patriot.risk.holdings import AccountHoldings, OpenEntry, Position
from patriot.trading.terms import AccountId, StrategyId, UserId

OURS, OTHERS = StrategyId(UUID(int=1)), StrategyId(UUID(int=2))
SYMBOLS = ("ADAUSDT", "BTCUSDT", "DOGEUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT")
MANY_SYMBOLS = tuple(f"COIN{number:02}USDT" for number in range(24))


def amounts(*figures: int) -> tuple[Decimal, ...]:
    return tuple(map(Decimal, figures))


def position(
    symbol: str,
    quantity: str,
    mark: str = "1",
    entry: str = "1",
    stop: str | None = None,
    maintenance: str = "0",
    liquidation: str | None = None,
    strategy: StrategyId | None = OURS,
) -> Position:
    stop_price = None if stop is None else Decimal(stop)
    liquidated_at = None if liquidation is None else Decimal(liquidation)
    prices = (Decimal(mark), Decimal(entry), stop_price)
    return Position(symbol, Decimal(quantity), *prices, Decimal(maintenance), liquidated_at, strategy)


def account(
    number: int,
    *positions: Position,
    equity: str = "1000",
    balance: str | None = None,
    user: int = 1,
    entries: tuple[OpenEntry, ...] = (),
    asset: str = "USDT",
) -> AccountHoldings:
    money = (Decimal(equity), Decimal(balance or equity))
    return AccountHoldings(AccountId(UUID(int=number)), UserId(UUID(int=user)), asset, *money, positions, entries)


def hourly(*pattern: float) -> list[float]:
    """Return 720 hours of one pattern, over and over."""
    return list(islice(cycle(pattern), LOOKBACK_HOURS))


def daily(*pattern: float) -> list[float]:
    """Return 30 days of one pattern, over and over: each day moves in its first hour, and rests."""
    return [move for day in islice(cycle(pattern), LOOKBACK_DAYS) for move in [day] + [0.0] * (HOURS_A_DAY - 1)]


def moved(**returns: Sequence[float]) -> History:
    """Return the history of symbols that moved like this."""
    return summarize(Window(tuple(returns), np.array(list(returns.values())).T))


def chance_returns(seed: int, symbols: int = len(SYMBOLS), hours: int = LOOKBACK_HOURS) -> Floats:
    """Return seeded returns of symbols that share one market."""
    chance = np.random.default_rng(seed)
    market = chance.standard_normal((hours, 1))
    return np.asarray(0.004 * market + 0.003 * chance.standard_normal((hours, symbols)), dtype=np.float64)


def chance_history(seed: int, symbols: tuple[str, ...] = SYMBOLS) -> History:
    return summarize(Window(symbols, chance_returns(seed, len(symbols))))


def chance_account(
    number: int, chance: random.Random, held: int = 4, symbols: tuple[str, ...] = SYMBOLS
) -> AccountHoldings:
    """Return an account of seeded positions: long and short, protected and not, ours and foreign."""
    positions = [
        position(
            symbol,
            str(chance.choice((-1, 1)) * chance.randint(1, 5_000)),
            mark := f"{chance.randint(50, 150) / 100}",
            entry=mark,
            stop=chance.choice((None, "1")),
            maintenance=str(chance.randint(1, 50)),
            liquidation=chance.choice((None, "0.2", "3")),
            strategy=chance.choice((OURS, OTHERS, None)),
        )
        for symbol in chance.sample(symbols, held)
    ]
    return account(number, *positions, equity=str(chance.randint(-500, 9_000)), user=1 + number % 3)
