-- A row counts once, however many contacts have its address. The import's time is the default, as for a new contact. By
-- id, not by place: a contact that somebody changes meanwhile has moved. By address, too: it may have another by then,
-- and this is asked again of a contact that was waited for.
WITH updated AS (
    UPDATE contacts
    SET name = k.name, imported_at = DEFAULT
    FROM pg_temp.dataflow_known k
    WHERE contacts.id = k.contact_id AND lower(contacts.email) = k.key
    RETURNING k.staged_id
)
SELECT count(*) AS contact_count, count(DISTINCT staged_id) AS row_count FROM updated
