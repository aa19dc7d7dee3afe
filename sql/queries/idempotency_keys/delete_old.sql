-- Answers that are no longer given again, and what killed processes have left. A locked row is about to be taken over.
WITH old AS MATERIALIZED (
    SELECT claim_id FROM idempotency_keys
    WHERE touched_at < statement_timestamp() - make_interval(secs => %(kept_seconds)s)
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
DELETE FROM idempotency_keys USING old WHERE idempotency_keys.claim_id = old.claim_id
