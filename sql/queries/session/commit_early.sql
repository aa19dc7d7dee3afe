-- For this transaction alone: a commit does not wait for the disk. What a crash of the server may take back is no more
-- than how far an upload was, and who held it, which the storage and the next request know.
SET LOCAL synchronous_commit = off
