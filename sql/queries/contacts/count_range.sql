-- After a part was deleted: a trigger or row security may have kept some, and neither says so. And after rows were added,
-- where a trigger may have given them other ids.
SELECT count(*) AS row_count FROM contacts WHERE id >= %(first)s AND id <= %(last)s
