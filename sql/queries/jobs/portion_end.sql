-- Where a portion of the jobs ends; no row when there are no more.
SELECT id FROM (SELECT id FROM jobs WHERE id > %(after)s::uuid ORDER BY id LIMIT %(limit)s) portion
ORDER BY id DESC
LIMIT 1
