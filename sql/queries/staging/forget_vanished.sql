-- Contacts that others have deleted, or given another address, since they were found. A contact that a trigger
-- protects is still there; one that we have updated is known, even if a trigger has changed its address.
DELETE FROM pg_temp.dataflow_known k
WHERE NOT EXISTS (SELECT FROM contacts c WHERE lower(c.email) = k.key)
  AND NOT EXISTS (SELECT FROM contacts c WHERE c.id = k.contact_id AND c.xmin = pg_current_xact_id()::xid)
