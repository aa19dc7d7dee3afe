-- Rows of an import that must not make duplicates. Types and collation are those of contacts, so that a value which
-- that cannot hold is refused at its line, and an index on lower(email) serves the comparison.
CREATE TEMPORARY TABLE dataflow_staged ON COMMIT DROP AS SELECT id, name, email FROM contacts WITH NO DATA
