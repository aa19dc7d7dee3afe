-- The limit that our sessions meet first; -1 is none. Limits of a role or a database do not bind a superuser. Some
-- connections of the server are kept for superusers and, since Postgres 16, for roles that may use the reserved ones.
-- By the role that has logged in, whatever it has SET since.
SELECT name, connections
FROM pg_roles r
JOIN pg_database d ON d.datname = current_database()
CROSS JOIN LATERAL (VALUES
    ('max_connections of the server', current_setting('max_connections')::int
        - CASE WHEN rolsuper THEN 0 ELSE current_setting('superuser_reserved_connections')::int END
        - CASE WHEN rolsuper OR EXISTS (
              SELECT FROM pg_roles WHERE rolname = 'pg_use_reserved_connections' AND pg_has_role(r.oid, oid, 'USAGE'))
          THEN 0 ELSE coalesce(current_setting('reserved_connections', true)::int, 0) END),
    ('CONNECTION LIMIT of the role', CASE WHEN NOT rolsuper THEN rolconnlimit ELSE -1 END),
    ('CONNECTION LIMIT of the database', CASE WHEN NOT rolsuper THEN datconnlimit ELSE -1 END)) limits (name, connections)
WHERE rolname = session_user AND connections >= 0
ORDER BY connections
LIMIT 1
