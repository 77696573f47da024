"""Sealed keys, outside the schema that a rebuild empties; and the rows of users and accounts.

A sealed key is never changed in place: it can be added, read and taken away.
"""

from patriot.adapters.postgres.migrations import run_sql

revision = "0003"
down_revision = "0002"

UPGRADE = """
CREATE SCHEMA identity;

CREATE TABLE identity.sealed_keys (
    account_id uuid NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    wrapped_key bytea NOT NULL,
    ciphertext bytea NOT NULL,
    sealed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, version)
);

GRANT USAGE ON SCHEMA identity TO patriot_app;
GRANT SELECT, INSERT, DELETE ON identity.sealed_keys TO patriot_app;

CREATE TABLE read.users (
    user_id uuid PRIMARY KEY,
    role text NOT NULL,
    risk_profile text NOT NULL,
    status text NOT NULL,
    registered_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL
);

CREATE TABLE read.accounts (
    account_id uuid PRIMARY KEY,
    user_id uuid NOT NULL,
    exchange text NOT NULL,
    environment text NOT NULL,
    position_mode text NOT NULL,
    quote_asset text NOT NULL,
    status text NOT NULL,
    reason_code text,
    credential_version integer NOT NULL,
    linked_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL
);
CREATE INDEX accounts_by_user ON read.accounts (user_id, linked_at);

CREATE TABLE read.rejected_credentials (
    account_id uuid NOT NULL,
    version integer NOT NULL,
    user_id uuid NOT NULL,
    exchange text NOT NULL,
    reason_code text NOT NULL,
    rejected_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, version)
);
CREATE INDEX rejected_credentials_by_user ON read.rejected_credentials (user_id, rejected_at);

SELECT read.protect(tenant) FROM unnest(ARRAY[
    'read.users', 'read.accounts', 'read.rejected_credentials'
]::regclass[]) AS tenant;
"""


def upgrade() -> None:
    run_sql(UPGRADE)
