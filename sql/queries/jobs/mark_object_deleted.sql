-- After the storage confirmed it; rows without this mark are tried again.
UPDATE jobs SET object_deleted_at = clock_timestamp() WHERE id = %(id)s AND object_deleted_at IS NULL
