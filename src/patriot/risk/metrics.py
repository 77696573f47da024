"""Risk of positions, accounts, users, strategies and the platform, of many accounts at once. Pure, vectorized.

What a limit is compared with is exact (`exposure.py`); estimates are numpy float64 from the last 30 days of closed
hours (`estimates.py`). A figure that cannot be given is None, and `missing` says why. What one account gets does not
depend, to the last bit, on which others are measured with it.

Over accounts, exposure and results add and offset. Margin does not: margin usage of a user and of the platform, and the
score of any group, are those of the account that stands worst. A strategy has no equity and no margin of its own.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from typing import NamedTuple

from patriot.kernel.errors import InvalidInput
from patriot.kernel.money import EXACT, ZERO
from patriot.risk.estimates import (
    Contribution,
    PortfolioEstimates,
    PositionEstimates,
    Units,
    portfolio_estimates,
    position_estimates,
    units_of,
)
from patriot.risk.exposure import (
    Exposure,
    PositionExposure,
    exposure_of,
    leverage,
    margin_usage,
    position_exposure,
    together,
)
from patriot.risk.history import History
from patriot.risk.holdings import AccountHoldings, Missing, OpenEntry, RiskTerms, missing_history
from patriot.risk.scores import composite_score, limit_usage, worst_score
from patriot.trading.terms import AccountId, StrategyId, UserId

DEFAULT_TERMS = RiskTerms()
NO_MONEY = "a strategy has no equity and no margin of its own"


@dataclass(frozen=True, slots=True)
class PortfolioMetrics:
    """The risk of an account, or of all that a user, a strategy or the platform holds."""

    exposure: Exposure
    equity: Decimal | None  # None: a strategy
    leverage: Decimal | None
    margin_usage: Decimal | None
    estimates: PortfolioEstimates | None
    score: float | None  # 0 to 100, a limit is reached: scores.py
    missing: tuple[Missing, ...]


class PositionMetrics(NamedTuple):
    """The risk of one position alone, and its part in the VaR of its account."""

    exposure: PositionExposure
    estimates: PositionEstimates | None
    contribution: Contribution | None


@dataclass(frozen=True, slots=True)
class AccountMetrics:
    portfolio: PortfolioMetrics
    positions: tuple[PositionMetrics, ...]  # in the order of the holdings
    limit_usage: Mapping[str, float | None]  # value / limit, None where the value is not known


@dataclass(frozen=True, slots=True)
class RiskMetrics:
    """Everything measured at once, in one quote asset. Foreign positions are in no strategy."""

    asset: str
    terms: RiskTerms
    accounts: Mapping[AccountId, AccountMetrics]
    users: Mapping[UserId, PortfolioMetrics]
    strategies: Mapping[StrategyId, PortfolioMetrics]
    platform: PortfolioMetrics


@dataclass(slots=True)
class _Group:
    """Accounts judged as one, and what of theirs counts."""

    has_money: bool = True
    exposures: list[Exposure] = field(default_factory=list)
    members: list[AccountHoldings] = field(default_factory=list)

    def add(self, account: AccountHoldings, exposure: Exposure) -> None:
        self.exposures.append(exposure)
        self.members.append(account)

    def equity(self) -> Decimal | None:
        with localcontext(EXACT):
            return sum((account.equity for account in self.members), ZERO) if self.has_money else None


def measure(accounts: Sequence[AccountHoldings], history: History, terms: RiskTerms = DEFAULT_TERMS) -> RiskMetrics:
    """Return the risk of these accounts, alone and together.

    Errors: InvalidInput without an account, for one that is there twice, or for more than one quote asset.
    """
    asset = one_asset(accounts)
    held = [tuple(map(position_exposure, account.positions)) for account in accounts]
    platform, users = _Group(), dict[UserId, _Group]()
    strategies: dict[StrategyId, _Group] = {}
    for account, positions in zip(accounts, held, strict=True):
        parts = _by_strategy(positions, account.entries)
        whole = together(list(parts.values()))
        platform.add(account, whole)
        users.setdefault(account.user_id, _Group()).add(account, whole)
        for strategy_id, part in parts.items():
            if strategy_id is not None:
                strategies.setdefault(strategy_id, _Group(has_money=False)).add(account, part)

    groups = [*users.values(), *strategies.values(), platform]
    exposures = [*platform.exposures, *(together(group.exposures) for group in groups)]
    estimates = portfolio_estimates(exposures, history, terms)
    units = units_of(history, terms)
    measured = {
        account.account_id: _account(account, exposure, positions, estimate, history, units)
        for account, exposure, positions, estimate in zip(accounts, exposures, held, estimates, strict=False)
    }
    judged = [
        _group(
            group, exposure, [measured[account.account_id].portfolio for account in group.members], estimate, history
        )
        for group, exposure, estimate in zip(groups, exposures[len(held) :], estimates[len(held) :], strict=True)
    ]
    return RiskMetrics(
        asset,
        terms,
        measured,
        dict(zip(users, judged, strict=False)),
        dict(zip(strategies, judged[len(users) :], strict=False)),
        judged[-1],
    )


def one_asset(accounts: Sequence[AccountHoldings]) -> str:
    """Return the quote asset of all these accounts.

    Errors: InvalidInput without an account, for one that is there twice, or for more than one asset: money of two
    assets does not add.
    """
    assets = sorted({account.asset for account in accounts})
    if len(assets) != 1:
        raise InvalidInput("accounts", f"expected accounts of one asset, found {', '.join(assets) or 'no account'}")
    if len({account.account_id for account in accounts}) != len(accounts):
        raise InvalidInput("accounts", "expected each account once")
    return assets[0]


def _by_strategy(
    positions: Iterable[PositionExposure], entries: Iterable[OpenEntry]
) -> dict[StrategyId | None, Exposure]:
    """Return what each strategy, and None for nobody of ours, put at stake in one account."""
    held: dict[StrategyId | None, list[PositionExposure]] = {}
    opening: dict[StrategyId | None, list[OpenEntry]] = {}
    for position in positions:
        held.setdefault(position.position.strategy_id, []).append(position)
    for entry in entries:
        opening.setdefault(entry.strategy_id, []).append(entry)
    return {owner: exposure_of(held.get(owner, ()), opening.get(owner, ())) for owner in held | opening}


def _account(
    account: AccountHoldings,
    exposure: Exposure,
    positions: Sequence[PositionExposure],
    estimates: PortfolioEstimates | None,
    history: History,
    units: Units,
) -> AccountMetrics:
    used = margin_usage(exposure.maintenance_margin, account.margin_balance)
    usage = limit_usage(exposure, account.equity, used, estimates, account.limits)
    score = composite_score(usage.values())
    portfolio = _portfolio(exposure, account.equity, used, estimates, score, history)
    return AccountMetrics(portfolio, tuple(_position(position, estimates, units) for position in positions), usage)


def _position(position: PositionExposure, whole: PortfolioEstimates | None, units: Units) -> PositionMetrics:
    part = None
    if whole is not None:
        marginal = whole.contributions[position.position.symbol].marginal_var
        part = Contribution(marginal, float(position.market_value) * (marginal or 0.0))
    return PositionMetrics(position, position_estimates(position, units), part)


def _group(
    group: _Group,
    exposure: Exposure,
    members: Sequence[PortfolioMetrics],
    estimates: PortfolioEstimates | None,
    history: History,
) -> PortfolioMetrics:
    usages = [member.margin_usage for member in members if member.margin_usage is not None]
    used = max(usages) if group.has_money and len(usages) == len(members) else None
    score = worst_score([member.score for member in members])
    return _portfolio(exposure, group.equity(), used, estimates, score, history)


def _portfolio(
    exposure: Exposure,
    equity: Decimal | None,
    used: Decimal | None,
    estimates: PortfolioEstimates | None,
    score: float | None,
    history: History,
) -> PortfolioMetrics:
    geared = None if equity is None else leverage(exposure.total, equity)
    missing = [] if estimates is None else _not_estimated(exposure, estimates, history)
    if estimates is None:
        missing += missing_history("estimates", history.missing_hours(exposure.by_symbol))
    if geared is None:
        missing.append(Missing("leverage", "equity is not above 0" if equity is not None else NO_MONEY))
    if used is None:
        missing.append(Missing("margin_usage", "margin balance is not above 0" if equity is not None else NO_MONEY))
    if score is None:
        missing.append(Missing("score", "a figure that it is made of is missing"))
    return PortfolioMetrics(exposure, equity, geared, used, estimates, score, tuple(missing))


def _not_estimated(exposure: Exposure, estimates: PortfolioEstimates, history: History) -> list[Missing]:
    missing = []
    if estimates.diversification_ratio is None:
        missing.append(Missing("diversification_ratio", "nothing is held, or all of it offsets"))
    if estimates.correlation is None:
        held = [symbol for symbol, at in exposure.by_symbol.items() if at.net]
        still = [symbol for symbol in held if history.unmoved(symbol)]
        reason = f"the price of {', '.join(still)} did not move in 30 days" if len(held) > 1 else "fewer than 2 symbols"
        missing.append(Missing("correlation", reason))
    return missing
