-- For the reason of a refusal.
SELECT state, bytes_total IS NOT NULL AS is_complete FROM jobs WHERE id = %(id)s
