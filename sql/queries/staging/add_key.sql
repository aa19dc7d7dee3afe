-- Addresses are compared by this key. A stored column, because the planner has statistics of columns alone: of an
-- expression it assumes 200 values, and expects five billion matches where there are a million. lower() follows the
-- locale of the database; in locale C it knows ASCII only.
ALTER TABLE pg_temp.dataflow_staged ADD COLUMN key TEXT GENERATED ALWAYS AS (lower(email)) STORED
