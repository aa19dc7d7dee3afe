-- The table that other applications read. Created as the contract says, or adopted when it is there already:
-- adopting checks that a COPY of (id, name, email, source) will work, and names every difference at once.
DO $$
DECLARE
    problems text;
BEGIN
    IF to_regclass('contacts') IS NULL THEN
        CREATE TABLE contacts (
            id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
            name TEXT NOT NULL,
            email TEXT NOT NULL,
            source TEXT NOT NULL,
            imported_at TIMESTAMP DEFAULT now()
        );
        IF to_regrole('anon') IS NOT NULL AND to_regrole('authenticated') IS NOT NULL THEN
            ALTER TABLE contacts ENABLE ROW LEVEL SECURITY;
            REVOKE ALL ON contacts FROM anon, authenticated;
        END IF;
        RETURN;
    END IF;

    WITH wanted (column_name, types) AS (
        VALUES ('id', ARRAY['uuid']),
               ('name', ARRAY['text', 'character varying']),
               ('email', ARRAY['text', 'character varying']),
               ('source', ARRAY['text', 'character varying']),
               ('imported_at', ARRAY['timestamp without time zone', 'timestamp with time zone'])
    ), found AS (
        SELECT a.attname::text AS column_name, format_type(a.atttypid, a.atttypmod) AS type,
               a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AS must_be_given, a.atthasdef
        FROM pg_attribute a
        WHERE a.attrelid = to_regclass('contacts') AND a.attnum > 0 AND NOT a.attisdropped
    ), differences AS (
        SELECT format('column %s is missing', w.column_name) AS difference
        FROM wanted w WHERE NOT EXISTS (SELECT FROM found f WHERE f.column_name = w.column_name)
        UNION ALL
        SELECT format('column %s is %s, expected %s', w.column_name, f.type, w.types[1])
        FROM wanted w JOIN found f USING (column_name) WHERE f.type <> ALL (w.types)
        UNION ALL
        SELECT 'column imported_at has no default' FROM found WHERE column_name = 'imported_at' AND NOT atthasdef
        UNION ALL
        SELECT format('column %s is NOT NULL without a default', f.column_name)
        FROM found f
        WHERE f.must_be_given AND f.column_name NOT IN ('id', 'name', 'email', 'source', 'imported_at')
        UNION ALL
        SELECT 'column id is not the primary key'
        WHERE NOT EXISTS (
            SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
            WHERE i.indrelid = to_regclass('contacts') AND i.indisprimary AND i.indnkeyatts = 1 AND a.attname = 'id')
    )
    SELECT string_agg(difference, '; ') INTO problems FROM differences;
    IF problems IS NOT NULL THEN
        RAISE EXCEPTION 'the table contacts that is there cannot be adopted: %', problems;
    END IF;
END
$$;
