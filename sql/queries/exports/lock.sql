-- Who waits for a table that is being changed is told so before the head of the answer is sent.
LOCK TABLE contacts IN ACCESS SHARE MODE
