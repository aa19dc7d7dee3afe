-- After the storage has confirmed that it is gone, and when what the attempt had sent has surely come to an end: a
-- worker that was frozen may still have a request under way.
DELETE FROM unfinished_objects
WHERE object_key = %(object_key)s
  AND ended_at < statement_timestamp() - make_interval(secs => %(settled_seconds)s)
RETURNING object_key
