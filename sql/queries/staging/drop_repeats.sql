-- Of the rows with one address only the last, or the first, is kept; ids ascend in the order of the file, places need
-- not. Sorted bytewise, which is enough for equality: 0.8 s for 1,000,000 rows, and no more memory than work_mem.
DELETE FROM pg_temp.dataflow_staged
WHERE ctid = ANY (ARRAY(
    SELECT place
    FROM (SELECT ctid AS place,
                 CASE WHEN %(is_last_kept)s THEN lead(id) OVER same_address ELSE lag(id) OVER same_address END AS kept
          FROM pg_temp.dataflow_staged
          WINDOW same_address AS (PARTITION BY key COLLATE "C" ORDER BY id)) staged
    WHERE kept IS NOT NULL))
