-- Asked when a job was not tried again, to say why.
SELECT EXISTS (SELECT FROM held_jobs WHERE id = %(id)s) AS is_held
