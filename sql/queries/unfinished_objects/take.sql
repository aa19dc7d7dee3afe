-- In the transaction in which a job takes the object.
DELETE FROM unfinished_objects WHERE object_key = %(object_key)s
