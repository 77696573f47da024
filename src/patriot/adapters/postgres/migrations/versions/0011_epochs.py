"""Epochs: how far this log is ahead of the transaction ids of the server that holds it.

An event is ordered by the id of its transaction plus `ahead`. A log restored into another server bears ids that this
server has not given out yet; adopting it (`patriot db adopt`) opens an epoch in which new events stand above all of
them. `eventing.append` is as in migration 0006 but for that, and for its refusal of a log that was not adopted.
"""

from patriot.adapters.postgres.migrations import run_sql

revision = "0011"
down_revision = "0010"

UPGRADE = """
CREATE TABLE eventing.epochs (
    epoch integer PRIMARY KEY,
    ahead bigint NOT NULL CHECK (ahead >= 0),
    first_transaction bigint NOT NULL,
    system_identifier bigint NOT NULL,
    adopted_at timestamptz NOT NULL DEFAULT now()
);

INSERT INTO eventing.epochs (epoch, ahead, first_transaction, system_identifier)
SELECT 1, 0, 0, system_identifier FROM pg_control_system();

GRANT SELECT ON eventing.epochs TO patriot_app;

GRANT SELECT ON SEQUENCE eventing.events_position_seq TO patriot_app;

ALTER TABLE eventing.events ALTER COLUMN tx_id DROP DEFAULT;

CREATE OR REPLACE FUNCTION eventing.append(
    lease_names text[], lease_tokens bigint[],
    stream_types text[], stream_ids uuid[], ends_with bytea[], new_versions integer[], new_hashes bytea[],
    scopes text[], keys text[], request_hashes text[], results text[],
    recorded timestamptz, event_ids uuid[], event_stream_types text[], event_stream_ids uuid[], versions integer[],
    event_types text[], schema_versions smallint[], occurred timestamptz[], correlations uuid[], causations uuid[],
    users uuid[], accounts uuid[], actor_types text[], actor_ids text[], datas text[], previous_hashes bytea[],
    hashes bytea[]
) RETURNS void LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off  -- a kept plan must not scan a table
AS $$
DECLARE
    held integer;
    advanced integer;
    created integer;
    stored integer;
    ahead bigint := (SELECT epochs.ahead FROM eventing.epochs ORDER BY epoch DESC LIMIT 1);
BEGIN
    IF EXISTS (SELECT FROM eventing.events
        WHERE tx_id >= (pg_snapshot_xmax(pg_current_snapshot())::text::bigint + ahead)::text::xid8)
    THEN  -- a restored log: what is written now would stand below what is there
        RAISE EXCEPTION 'this event log was restored from a copy: run `patriot db adopt`'
            USING ERRCODE = 'read_only_sql_transaction';
    END IF;

    PERFORM FROM unnest(lease_names, lease_tokens) AS wanted (name, token) CROSS JOIN LATERAL (
        SELECT FROM eventing.leases WHERE name = wanted.name AND token = wanted.token FOR SHARE
    ) AS locked;
    GET DIAGNOSTICS held = ROW_COUNT;

    -- LATERAL: a plan that was made for large batches must not scan the table for one row (measured: 3 ms).
    UPDATE eventing.streams SET version = locked.version, last_hash = locked.last_hash FROM (
        SELECT wanted.stream_type, wanted.stream_id, wanted.version, wanted.last_hash
        FROM unnest(stream_types, stream_ids, ends_with, new_versions, new_hashes)
            AS wanted (stream_type, stream_id, ends_with, version, last_hash) CROSS JOIN LATERAL (
            SELECT FROM eventing.streams WHERE stream_type = wanted.stream_type AND stream_id = wanted.stream_id
                AND last_hash = wanted.ends_with FOR UPDATE
        ) AS found
    ) AS locked WHERE streams.stream_type = locked.stream_type AND streams.stream_id = locked.stream_id;
    GET DIAGNOSTICS advanced = ROW_COUNT;

    INSERT INTO eventing.streams (stream_type, stream_id, version, last_hash)
    SELECT new.stream_type, new.stream_id, new.version, new.last_hash
    FROM unnest(stream_types, stream_ids, ends_with, new_versions, new_hashes)
        AS new (stream_type, stream_id, ends_with, version, last_hash)
    WHERE new.ends_with IS NULL ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS created = ROW_COUNT;

    INSERT INTO eventing.commands (scope, idempotency_key, request_hash, result)
    SELECT * FROM unnest(scopes, keys, request_hashes, results) ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS stored = ROW_COUNT;

    IF held < cardinality(lease_names) OR advanced + created < cardinality(stream_ids) OR stored < cardinality(keys)
    THEN
        RAISE EXCEPTION 'a lease, stream or key is not as the append assumed' USING ERRCODE = 'serialization_failure';
    END IF;

    INSERT INTO eventing.events (
        tx_id, event_id, stream_type, stream_id, stream_version, event_type, schema_version, occurred_at, recorded_at,
        correlation_id, causation_id, user_id, account_id, actor_type, actor_id, data, previous_hash, event_hash)
    SELECT (pg_current_xact_id()::text::bigint + ahead)::text::xid8,
        new.event_id, new.stream_type, new.stream_id, new.version, new.event_type, new.schema_version,
        new.occurred_at, recorded, new.correlation_id, new.causation_id, new.user_id, new.account_id, new.actor_type,
        new.actor_id, new.data, new.previous_hash, new.event_hash
    FROM unnest(event_ids, event_stream_types, event_stream_ids, versions, event_types, schema_versions, occurred,
        correlations, causations, users, accounts, actor_types, actor_ids, datas, previous_hashes, hashes)
        WITH ORDINALITY AS new (event_id, stream_type, stream_id, version, event_type, schema_version, occurred_at,
            correlation_id, causation_id, user_id, account_id, actor_type, actor_id, data, previous_hash, event_hash, n)
    ORDER BY new.n;
END $$;
"""


def upgrade() -> None:
    run_sql(UPGRADE)
