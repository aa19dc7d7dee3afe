-- Whose further contacts the next page has: the link to it names a contact, as links are logged and addresses not.
SELECT email FROM contacts
WHERE id = %(id)s AND (%(sources)s::text[] IS NULL OR source = ANY (%(sources)s::text[]))
