-- In portions: a million rows of 4 KiB take longer than a request has.
DELETE FROM rejects
WHERE ctid = ANY (ARRAY(SELECT ctid FROM rejects WHERE job_id = %(id)s LIMIT %(limit)s))
