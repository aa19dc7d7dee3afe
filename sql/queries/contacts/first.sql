-- Where a step of a revert begins. One row, because that takes the primary key whatever the statistics say: a query
-- for the end of the step, 10,000 rows on, read and sorted the rest of a table not analyzed yet (24 s instead of
-- one).
SELECT id FROM contacts
WHERE id >= %(position)s AND id <= %(last)s
ORDER BY id
LIMIT 1
