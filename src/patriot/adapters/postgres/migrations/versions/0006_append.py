"""One call, one transaction: what an append writes, and the proof of everything that was assumed for it.

The chain is hashed before the call, so the caller names the hash each stream must end with (NULL: no such stream yet)
and the token each lease must have. Where one of them has moved, nothing is written: SQLSTATE 40001, look and try again.
Leases are locked first, then streams, in the order given, which is the same for everybody.
"""

from patriot.adapters.postgres.migrations import run_sql

revision = "0006"
down_revision = "0005"

UPGRADE = """
CREATE FUNCTION eventing.append(
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
BEGIN
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
        event_id, stream_type, stream_id, stream_version, event_type, schema_version, occurred_at, recorded_at,
        correlation_id, causation_id, user_id, account_id, actor_type, actor_id, data, previous_hash, event_hash)
    SELECT new.event_id, new.stream_type, new.stream_id, new.version, new.event_type, new.schema_version,
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
