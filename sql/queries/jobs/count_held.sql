-- For people, who need no exact number beyond the limit: a copy may have a million.
SELECT count(*) AS jobs FROM (SELECT FROM held_jobs LIMIT %(limit)s) held
