"""Tables of strategies, of who follows them, and of their signals; they can be rebuilt from the log.

A client sees which strategies there are and its own assignments. Parameters, followers and signals are the operator's.
"""

from patriot.adapters.postgres.migrations import run_sql

revision = "0004"
down_revision = "0003"

UPGRADE = """
CREATE TABLE read.strategies (
    strategy_id uuid PRIMARY KEY,
    name text NOT NULL,
    kind text NOT NULL,
    exchange text NOT NULL,
    symbol text NOT NULL,
    bar_interval text NOT NULL,
    parameters text NOT NULL,
    risk_per_trade_fraction numeric NOT NULL,
    max_leverage numeric NOT NULL,
    fee_rate numeric NOT NULL,
    config_version integer NOT NULL,
    status text NOT NULL,
    reason_code text,
    active_from timestamptz NOT NULL,
    created_at timestamptz NOT NULL
);
GRANT SELECT ON read.strategies TO patriot_operator;
GRANT SELECT (strategy_id, name, kind, exchange, symbol, bar_interval, fee_rate, status, created_at)
    ON read.strategies TO patriot_reader;

CREATE TABLE read.assignments (
    assignment_id uuid PRIMARY KEY,
    strategy_id uuid NOT NULL,
    user_id uuid NOT NULL,
    account_id uuid NOT NULL,
    allocation_fraction numeric NOT NULL,
    risk_multiplier numeric NOT NULL,
    consented_at timestamptz NOT NULL,
    assigned_at timestamptz NOT NULL,
    unassigned_at timestamptz,
    reason_code text
);
CREATE INDEX assignments_by_strategy ON read.assignments (strategy_id, account_id) WHERE unassigned_at IS NULL;
CREATE INDEX assignments_by_account ON read.assignments (account_id);
CREATE INDEX assignments_by_user ON read.assignments (user_id, assigned_at);
SELECT read.protect('read.assignments');

CREATE TABLE read.signals (
    signal_id uuid PRIMARY KEY,
    strategy_id uuid NOT NULL,
    exchange text NOT NULL,
    symbol text NOT NULL,
    action text NOT NULL,
    reference_price numeric NOT NULL,
    stop_price numeric,
    take_profit_price numeric,
    confidence numeric NOT NULL,
    indicators text NOT NULL,
    bar_closed_at timestamptz NOT NULL,
    generated_at timestamptz NOT NULL,
    valid_until timestamptz NOT NULL
);
CREATE INDEX signals_by_strategy ON read.signals (strategy_id, bar_closed_at DESC);
CREATE INDEX signals_by_time ON read.signals (bar_closed_at DESC);
GRANT SELECT ON read.signals TO patriot_operator;
"""


def upgrade() -> None:
    run_sql(UPGRADE)
