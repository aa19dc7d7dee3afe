-- After a part was deleted: a trigger or row security may have kept some, and neither says so.
SELECT count(*) AS row_count FROM contacts WHERE id >= %(first)s AND id <= %(last)s
