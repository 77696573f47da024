"""Tables of the event store, and the role that may only add to them.

`patriot_app` cannot log in; the pool takes it on when it connects (see `adapters/postgres/database.py`). It may insert
and read events, never change them; a trigger refuses everybody else, the owner included. Read models live in `read`.
"""

from patriot.adapters.postgres.migrations import run_sql

revision = "0001"
down_revision = None

UPGRADE = """
CREATE SCHEMA eventing;

CREATE TABLE eventing.streams (
    stream_type text NOT NULL,
    stream_id uuid NOT NULL,
    version integer NOT NULL CHECK (version >= 0),
    last_hash bytea NOT NULL,
    PRIMARY KEY (stream_type, stream_id)
) WITH (fillfactor = 70);

CREATE TABLE eventing.events (
    tx_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
    position bigint GENERATED ALWAYS AS IDENTITY,
    event_id uuid NOT NULL UNIQUE,
    stream_type text NOT NULL,
    stream_id uuid NOT NULL,
    stream_version integer NOT NULL CHECK (stream_version > 0),
    event_type text NOT NULL,
    schema_version smallint NOT NULL CHECK (schema_version > 0),
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    correlation_id uuid NOT NULL,
    causation_id uuid,
    user_id uuid,
    account_id uuid,
    actor_type text NOT NULL,
    actor_id text NOT NULL,
    data text NOT NULL,
    previous_hash bytea NOT NULL,
    event_hash bytea NOT NULL,
    PRIMARY KEY (tx_id, position),
    UNIQUE (stream_type, stream_id, stream_version)
);

CREATE FUNCTION eventing.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'history is append-only: % on eventing.events', TG_OP
        USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER history_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON eventing.events
    FOR EACH STATEMENT EXECUTE FUNCTION eventing.refuse_change();

CREATE TABLE eventing.commands (
    scope text NOT NULL,
    idempotency_key text NOT NULL,
    request_hash text NOT NULL,
    result text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (scope, idempotency_key)
);

CREATE TABLE eventing.checkpoints (
    name text PRIMARY KEY,
    tx_id xid8 NOT NULL,
    position bigint NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE eventing.projections (
    name text PRIMARY KEY,
    tx_id xid8 NOT NULL,
    position bigint NOT NULL,
    status text NOT NULL CHECK (status IN ('RUNNING', 'REBUILDING')),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE eventing.leases (
    name text PRIMARY KEY,
    owner text NOT NULL,
    token bigint NOT NULL CHECK (token > 0),
    expires_at timestamptz NOT NULL
);

CREATE SCHEMA read;

CREATE SCHEMA read_shadow;

DO $$ BEGIN
    CREATE ROLE patriot_app NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;  -- roles belong to the server; another database of it made this one
END $$;

DO $$ BEGIN EXECUTE format('GRANT patriot_app TO %I', current_user); END $$;

GRANT USAGE ON SCHEMA eventing TO patriot_app;

GRANT SELECT, INSERT ON eventing.events, eventing.commands TO patriot_app;

GRANT SELECT, INSERT, UPDATE ON eventing.streams, eventing.checkpoints, eventing.leases TO patriot_app;

GRANT SELECT, INSERT, UPDATE, DELETE ON eventing.projections TO patriot_app;

GRANT USAGE ON SCHEMA read TO patriot_app;

GRANT USAGE, CREATE ON SCHEMA read_shadow TO patriot_app;

ALTER DEFAULT PRIVILEGES IN SCHEMA read
    GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON TABLES TO patriot_app;
"""


def upgrade() -> None:
    run_sql(UPGRADE)
