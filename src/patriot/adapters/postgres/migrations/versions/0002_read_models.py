"""Tables of orders and portfolio that can be rebuilt from the log, and who may see which rows.

Every table with a `user_id` is a tenant table: `read.protect` gives it a row-level policy. `patriot_app` (projections
and services) sees all rows, `patriot_operator` reads all rows, `patriot_reader` reads the rows of the user that its
transaction names in `patriot.user_id`, and none when it names nobody. Amounts are numeric without a scale, so that what
was written is kept.
"""

from patriot.adapters.postgres.migrations import run_sql

revision = "0002"
down_revision = "0001"

UPGRADE = """
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['patriot_reader', 'patriot_operator'] LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', name);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;  -- roles belong to the server; another database of it made this one
        END;
        EXECUTE format('GRANT %I TO %I', name, current_user);
    END LOOP;
END $$;

GRANT USAGE ON SCHEMA read TO patriot_reader, patriot_operator;

CREATE FUNCTION read.protect(tenant_table regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', tenant_table);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', tenant_table);
    EXECUTE format('GRANT SELECT ON %s TO patriot_reader, patriot_operator', tenant_table);
    EXECUTE format('CREATE POLICY app_all ON %s TO patriot_app USING (true) WITH CHECK (true)', tenant_table);
    EXECUTE format('CREATE POLICY operator_reads ON %s FOR SELECT TO patriot_operator USING (true)', tenant_table);
    EXECUTE format(
        'CREATE POLICY owner_reads ON %s FOR SELECT TO patriot_reader '
        'USING (user_id = nullif(current_setting(''patriot.user_id'', true), '''')::uuid)',
        tenant_table
    );
END $$;

CREATE TABLE read.orders (
    order_id uuid PRIMARY KEY,
    version integer NOT NULL,
    group_id uuid NOT NULL,
    leg text NOT NULL,
    sequence integer NOT NULL,
    user_id uuid NOT NULL,
    account_id uuid NOT NULL,
    strategy_id uuid,
    signal_id uuid,
    exchange text NOT NULL,
    symbol text NOT NULL,
    side text NOT NULL,
    order_type text NOT NULL,
    quantity numeric NOT NULL,
    price numeric,
    trigger_price numeric,
    reduce_only boolean NOT NULL,
    client_order_id text NOT NULL,
    venue_order_id text,
    status text NOT NULL,
    reason_code text,
    filled_quantity numeric NOT NULL,
    filled_notional numeric NOT NULL,
    created_at timestamptz NOT NULL,
    submitted_at timestamptz,
    accepted_at timestamptz,
    closed_at timestamptz
);
CREATE INDEX orders_by_account ON read.orders (account_id, created_at);
CREATE INDEX orders_by_user ON read.orders (user_id, created_at);
CREATE INDEX orders_by_group ON read.orders (group_id);
CREATE INDEX orders_by_signal ON read.orders (signal_id);

CREATE TABLE read.fills (
    order_id uuid NOT NULL,
    trade_id text NOT NULL,
    group_id uuid NOT NULL,
    leg text NOT NULL,
    user_id uuid NOT NULL,
    account_id uuid NOT NULL,
    strategy_id uuid,
    symbol text NOT NULL,
    side text NOT NULL,
    venue_order_id text NOT NULL,
    quantity numeric NOT NULL,
    price numeric NOT NULL,
    commission numeric NOT NULL,
    commission_asset text NOT NULL,
    realized_pnl numeric NOT NULL,
    is_maker boolean NOT NULL,
    filled_at timestamptz NOT NULL,
    PRIMARY KEY (order_id, trade_id)
);
CREATE INDEX fills_by_account ON read.fills (account_id, filled_at);
CREATE INDEX fills_by_user ON read.fills (user_id, filled_at);

CREATE TABLE read.brackets (
    group_id uuid PRIMARY KEY,
    user_id uuid NOT NULL,
    account_id uuid NOT NULL,
    strategy_id uuid,
    signal_id uuid,
    symbol text NOT NULL,
    side text NOT NULL,
    stop_price numeric,
    take_profit_price numeric,
    status text NOT NULL,
    close_reason text,
    created_at timestamptz NOT NULL,
    closed_at timestamptz
);
CREATE INDEX brackets_by_account ON read.brackets (account_id, created_at);
CREATE INDEX brackets_not_over ON read.brackets (account_id) WHERE status IN ('PENDING', 'OPEN');

CREATE TABLE read.ledger_accounts (
    account_id uuid PRIMARY KEY,
    user_id uuid NOT NULL,
    asset text NOT NULL
);

CREATE TABLE read.ledger_entries (
    account_id uuid NOT NULL,
    kind text NOT NULL,
    entry_id text NOT NULL,
    user_id uuid NOT NULL,
    asset text NOT NULL,
    amount numeric NOT NULL,
    symbol text,
    strategy_id uuid,
    booked_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, kind, entry_id)
);
CREATE INDEX ledger_entries_by_user ON read.ledger_entries (user_id, booked_at);
CREATE INDEX ledger_entries_by_strategy ON read.ledger_entries (strategy_id) WHERE strategy_id IS NOT NULL;

CREATE TABLE read.ledger (
    account_id uuid NOT NULL,
    asset text NOT NULL,
    user_id uuid NOT NULL,
    transfers numeric NOT NULL,
    realized_pnl numeric NOT NULL,
    commission numeric NOT NULL,
    funding numeric NOT NULL,
    PRIMARY KEY (account_id, asset)
);
CREATE INDEX ledger_by_user ON read.ledger (user_id);

CREATE TABLE read.positions (
    account_id uuid NOT NULL,
    symbol text NOT NULL,
    user_id uuid NOT NULL,
    strategy_id uuid,
    quantity numeric NOT NULL,
    cost_basis numeric NOT NULL,
    realized_pnl numeric NOT NULL,
    commission numeric NOT NULL,
    funding numeric NOT NULL,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, symbol)
);
CREATE INDEX positions_by_user ON read.positions (user_id);

CREATE TABLE read.equity_series (
    account_id uuid NOT NULL,
    version integer NOT NULL,
    user_id uuid NOT NULL,
    reason text NOT NULL,
    asset text NOT NULL,
    wallet_balance numeric NOT NULL,
    equity numeric NOT NULL,
    sampled_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, version)
);
CREATE INDEX equity_series_by_time ON read.equity_series (account_id, sampled_at);
CREATE INDEX equity_series_by_user ON read.equity_series (user_id, sampled_at);

CREATE TABLE read.closed_positions (
    group_id uuid PRIMARY KEY,
    user_id uuid NOT NULL,
    account_id uuid NOT NULL,
    strategy_id uuid,
    symbol text NOT NULL,
    quantity numeric NOT NULL,
    entry_price numeric,
    exit_price numeric,
    realized_pnl numeric NOT NULL,
    commission numeric NOT NULL,
    close_reason text NOT NULL,
    opened_at timestamptz,
    closed_at timestamptz NOT NULL
);
CREATE INDEX closed_positions_by_account ON read.closed_positions (account_id, closed_at);
CREATE INDEX closed_positions_by_user ON read.closed_positions (user_id, closed_at);

SELECT read.protect(tenant) FROM unnest(ARRAY[
    'read.orders', 'read.fills', 'read.brackets', 'read.ledger_accounts', 'read.ledger_entries', 'read.ledger',
    'read.positions', 'read.equity_series', 'read.closed_positions'
]::regclass[]) AS tenant;
"""


def upgrade() -> None:
    run_sql(UPGRADE)
