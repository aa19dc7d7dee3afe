"""Jobs that take their time: triggers that hold one at a certain place, or slow every row down.

Sequences say who has come and who may pass: they are not part of the transaction, so everybody sees them at once.
"""

from typing import Literal

from dataflow.db import Connection
from tests.support.waiting import eventually

#: The name in a marked row.
MARK = "Hold"
EVERYBODY = 1_000_000

_HOLD = """
CREATE SEQUENCE drill_places;
CREATE SEQUENCE drill_first_to_pass;
CREATE FUNCTION drill_wait() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    place BIGINT := nextval('drill_places');
BEGIN
    WHILE place < (SELECT last_value FROM drill_first_to_pass) LOOP
        PERFORM pg_sleep(0.01);
    END LOOP;
END $$;
CREATE FUNCTION drill_hold() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM drill_wait();
    RETURN new;
END $$;
"""
Place = Literal["copy", "beat", "settling", "commit", "delete", "read"]
_COPY = """
CREATE TRIGGER drill_hold BEFORE INSERT ON contacts
    FOR EACH ROW WHEN (new.name = 'Hold') EXECUTE FUNCTION drill_hold()
"""
#: COPY and COMMIT of a file with a marked row, the DELETE of that row, and its reading by an export; a heartbeat during
#: such a COPY; and the statement that settles a success, before it looks at the job: no other that changes jobs comes
#: in a transaction that has written something before.
_PLACES: dict[Place, str] = {
    "copy": _COPY,
    "beat": f"""{_COPY};
CREATE TRIGGER drill_hold BEFORE UPDATE ON jobs
    FOR EACH ROW WHEN (old.heartbeat_at < new.heartbeat_at AND new.state = 'running') EXECUTE FUNCTION drill_hold()
""",
    "settling": """
CREATE TRIGGER drill_hold BEFORE UPDATE ON jobs
    FOR EACH STATEMENT WHEN (pg_current_xact_id_if_assigned() IS NOT NULL) EXECUTE FUNCTION drill_hold()
""",
    "commit": """
CREATE CONSTRAINT TRIGGER drill_hold AFTER INSERT ON contacts DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (new.name = 'Hold') EXECUTE FUNCTION drill_hold()
""",
    "delete": """
CREATE TRIGGER drill_hold AFTER DELETE ON contacts
    FOR EACH ROW WHEN (old.name = 'Hold') EXECUTE FUNCTION drill_hold()
""",
    "read": """
CREATE FUNCTION drill_read(name TEXT) RETURNS TEXT LANGUAGE plpgsql AS $$
BEGIN
    PERFORM drill_wait();
    RETURN name;
END $$;
ALTER TABLE contacts RENAME TO contacts_there;
CREATE VIEW contacts AS
    SELECT id, CASE WHEN name = 'Hold' THEN drill_read(name) ELSE name END AS name, email, source, imported_at
    FROM contacts_there
""",
}
#: In steps that let the server look up from its work.
_PACE = """
CREATE SEQUENCE drill_rows;
CREATE FUNCTION drill_pace() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('drill_rows') % 50 = 0 THEN PERFORM pg_sleep(0.01); END IF;
    RETURN new;
END $$;
CREATE TRIGGER drill_pace BEFORE INSERT ON contacts FOR EACH ROW EXECUTE FUNCTION drill_pace()
"""


def hold(connection: Connection, place: Place = "copy", count: int = 1) -> None:
    """Have the first `count` jobs wait that come to `place`."""
    connection.execute((_HOLD + _PLACES[place]).encode())
    connection.execute("SELECT setval('drill_first_to_pass', %s)", [count + 1])


def wait_until_held(connection: Connection, count: int = 1) -> None:
    """Return when so many have come there."""
    eventually(
        lambda: (
            connection.execute("SELECT FROM drill_places WHERE is_called AND last_value >= %s", [count]).fetchone()
            is not None
        )
    )


def let_go(connection: Connection) -> None:
    """Let everybody pass."""
    connection.execute("SELECT setval('drill_first_to_pass', 1)")


def let_go_if_held(connection: Connection) -> None:
    """Let everybody pass, if anybody may be waiting."""
    if connection.execute("SELECT WHERE to_regclass('drill_first_to_pass') IS NOT NULL").fetchone() is not None:
        let_go(connection)


def pace(connection: Connection) -> None:
    """Slow all imports down, together to about 5,000 rows a second each."""
    connection.execute(_PACE.encode())
