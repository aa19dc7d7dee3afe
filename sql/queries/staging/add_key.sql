-- What addresses are compared by. Stored, because the planner has statistics of columns alone: of an expression it
-- assumes 200 values, and expects five billion matches where there are a million. lower() follows the database's
-- locale; in one with locale C it knows ASCII only.
ALTER TABLE pg_temp.dataflow_staged ADD COLUMN key TEXT GENERATED ALWAYS AS (lower(email)) STORED
