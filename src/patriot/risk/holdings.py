"""What the risk engine measures: positions, open entries and money of accounts, and the terms of a measurement. Pure.

The caller gathers these from read models and marks; nothing here asks anybody. Everything of one account is in its
quote asset, and accounts of two assets are measured apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from patriot.kernel.errors import InvalidInput
from patriot.kernel.money import EXACT
from patriot.trading.terms import AccountId, StrategyId, UserId

LOWEST_CONFIDENCE, HIGHEST_CONFIDENCE = Decimal("0.90"), Decimal("0.99")
LONGEST_HORIZON_HOURS = 720


@dataclass(frozen=True, slots=True)
class Position:
    """One position as the venue holds it. `quantity` is signed, in base asset; prices are quote per base.

    Errors: InvalidInput for a quantity of 0: venues list symbols that are not held, and these are no positions.
    """

    symbol: str
    quantity: Decimal
    mark_price: Decimal
    entry_price: Decimal
    stop_price: Decimal | None  # None: nothing protects it
    maintenance_margin: Decimal  # quote asset
    liquidation_price: Decimal | None  # None: the venue gives none
    strategy_id: StrategyId | None  # None: foreign, opened by the client's own hand

    def __post_init__(self) -> None:
        if not self.quantity:
            raise InvalidInput("quantity", f"expected a position, found 0 {self.symbol[:40]}")

    @property
    def market_value(self) -> Decimal:
        """Return quantity x mark price, negative for a short."""
        return EXACT.multiply(self.quantity, self.mark_price)


@dataclass(frozen=True, slots=True)
class OpenEntry:
    """An entry that may still fill. `notional` is that of the part not filled yet, without sign."""

    symbol: str
    notional: Decimal
    strategy_id: StrategyId | None


@dataclass(frozen=True, slots=True)
class MeasuredLimits:
    """The limits that a composite score is measured against. Units: quote asset; fractions of 1."""

    max_position_notional: Decimal = Decimal(50_000)
    max_total_exposure: Decimal = Decimal(250_000)
    max_leverage: Decimal = Decimal(10)
    max_margin_usage: Decimal = Decimal("0.70")  # where strategies are paused; 0.85 is 1.2 times that
    max_var_fraction: Decimal = Decimal("0.10")  # parametric VaR, 95 %, 24 h, of equity
    max_correlation: Decimal = Decimal("0.80")


@dataclass(frozen=True, slots=True)
class AccountHoldings:
    """Everything of one account that risk depends on. Equity is the wallet balance and unrealized profit and loss."""

    account_id: AccountId
    user_id: UserId
    asset: str
    equity: Decimal
    margin_balance: Decimal
    positions: tuple[Position, ...] = ()
    entries: tuple[OpenEntry, ...] = ()
    limits: MeasuredLimits = MeasuredLimits()


@dataclass(frozen=True, slots=True)
class RiskTerms:
    """How sure and how long a value at risk is to hold.

    Errors: InvalidInput for a confidence outside 0.90 to 0.99 or a horizon outside 1 to 720 hours.
    """

    confidence: Decimal = Decimal("0.95")
    horizon_hours: int = 24

    def __post_init__(self) -> None:
        if not LOWEST_CONFIDENCE <= self.confidence <= HIGHEST_CONFIDENCE:
            raise InvalidInput("confidence", f"expected 0.90 to 0.99, found {self.confidence}")
        if not 1 <= self.horizon_hours <= LONGEST_HORIZON_HOURS:
            raise InvalidInput("horizon_hours", f"expected 1 to {LONGEST_HORIZON_HOURS}, found {self.horizon_hours}")


@dataclass(frozen=True, slots=True)
class Missing:
    """Why a figure is None. `more_hours`: how many closed hourly bars are needed before it can be given."""

    figure: str
    reason: str
    more_hours: int = 0


def missing_history(figure: str, held: Mapping[str, int]) -> tuple[Missing, ...]:
    """Return one reason for each symbol that lacks hours."""
    return tuple(
        Missing(figure, f"{symbol}: {hours} more closed hours needed", hours)
        for symbol, hours in sorted(held.items())
        if hours
    )
