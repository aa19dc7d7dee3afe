-- Of any number of requests with one key, over all processes, one gets a row. Committed before a body is read.
INSERT INTO idempotency_keys (scope, route, key, claim_id, fingerprint)
VALUES (%(scope)s, %(route)s, %(key)s, %(claim_id)s, %(fingerprint)s)
ON CONFLICT (scope, route, key) DO NOTHING
RETURNING claim_id
