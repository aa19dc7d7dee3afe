"""Contacts on the nodes of a distributed Postgres: their size is not that of the empty table on this one.

The function and the table that say so are doubles of those of Citus, which refuse as theirs do.
"""

from dataflow import db
from dataflow.imports import merge
from dataflow.imports.merge import Counts
from tests.support.merges import merged, plain, staged

DOUBLES = """
CREATE TABLE pg_dist_partition (logicalrelid regclass NOT NULL);
CREATE FUNCTION citus_relation_size(relation regclass) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    IF relation NOT IN (SELECT logicalrelid FROM pg_dist_partition) THEN
        RAISE 'cannot calculate the size because relation % is not distributed', relation;
    END IF;
    RETURN 8::bigint << 30;
END $$
"""
ROWS = [("Ann", "ANN@b.co"), ("Ben", "ben@b.co")]


def may_look_up_each_row(connection: db.Connection) -> bool:
    with staged(connection, ROWS):
        assert merge.count(connection, "skip") == Counts(1, 0, 1)
        row = connection.execute("SHOW enable_nestloop").fetchone()
    return row == {"enable_nestloop": "on"}


def test_few_rows_are_looked_up_in_contacts_that_are_many_on_other_nodes(connection: db.Connection) -> None:
    plain(connection, [("Ann", "ann@b.co")])
    assert not may_look_up_each_row(connection)  # one page: reading it all is less
    connection.execute(DOUBLES.encode())
    assert not may_look_up_each_row(connection)  # contacts is an ordinary table
    connection.execute("INSERT INTO pg_dist_partition VALUES ('contacts')")
    assert may_look_up_each_row(connection)
    assert merged(connection, "update", ROWS) == Counts(1, 1, 0)


def test_a_table_of_the_name_without_the_function_is_nobodys_concern(connection: db.Connection) -> None:
    connection.execute("CREATE TABLE pg_dist_partition (logicalrelid regclass)")
    assert merged(connection, "skip", ROWS) == Counts(2, 0, 0)
