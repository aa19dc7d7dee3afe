-- Held until the revert is queued, so that the last step of another revert, which changes this row too, comes before
-- or after.
SELECT kind, state, options ->> 'dryRun' = 'true' AS is_dry_run FROM jobs WHERE id = %(id)s FOR UPDATE
