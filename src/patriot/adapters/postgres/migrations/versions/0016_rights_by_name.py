"""Each table of a read model gets its rights by name: default ones name an owner, whom a restored copy may not know."""

from patriot.adapters.postgres.migrations import run_sql

revision = "0016"
down_revision = "0015"

UPGRADE = """
DO $$ DECLARE owner regrole; BEGIN
    FOR owner IN SELECT defaclrole FROM pg_default_acl WHERE defaclnamespace = 'read'::regnamespace LOOP
        EXECUTE format(
            'ALTER DEFAULT PRIVILEGES FOR ROLE %s IN SCHEMA read REVOKE ALL ON TABLES FROM patriot_app', owner
        );
    END LOOP;
END $$;

CREATE OR REPLACE FUNCTION read.protect(tenant_table regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', tenant_table);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', tenant_table);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON %s TO patriot_app', tenant_table);
    EXECUTE format('GRANT SELECT ON %s TO patriot_reader, patriot_operator', tenant_table);
    EXECUTE format('CREATE POLICY app_all ON %s TO patriot_app USING (true) WITH CHECK (true)', tenant_table);
    EXECUTE format('CREATE POLICY operator_reads ON %s FOR SELECT TO patriot_operator USING (true)', tenant_table);
    EXECUTE format(
        'CREATE POLICY owner_reads ON %s FOR SELECT TO patriot_reader '
        'USING (user_id = nullif(current_setting(''patriot.user_id'', true), '''')::uuid)',
        tenant_table
    );
END $$;
"""


def upgrade() -> None:
    run_sql(UPGRADE)
