-- Personal data of a finished job: its file, gone by now, and what its refused rows said.
UPDATE jobs SET object_deleted_at = coalesce(object_deleted_at, clock_timestamp()), issues = '[]', file_name = NULL
WHERE id = %(id)s
