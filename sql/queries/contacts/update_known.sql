-- A row counts once, however many contacts have its address. The time of import is the default, as for a new contact.
-- Contacts are met by id, as one that somebody changes meanwhile has moved; and by address, which is compared again
-- after waiting for such a change.
WITH updated AS (
    UPDATE contacts
    SET name = k.name, imported_at = DEFAULT
    FROM pg_temp.dataflow_known k
    WHERE contacts.id = k.contact_id AND lower(contacts.email) = k.key
    RETURNING k.staged_id
)
SELECT count(*) AS contact_count, count(DISTINCT staged_id) AS row_count FROM updated
