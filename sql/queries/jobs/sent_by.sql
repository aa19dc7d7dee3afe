-- Which of some jobs were made with one key or token.
SELECT id FROM jobs WHERE id = ANY (%(ids)s) AND created_by = %(created_by)s
