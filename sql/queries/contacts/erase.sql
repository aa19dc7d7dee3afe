-- By id and once more by address, which somebody may have changed since the contacts were found.
DELETE FROM contacts WHERE id = ANY (%(ids)s::uuid[]) AND lower(email) = lower(%(email)s::text)
