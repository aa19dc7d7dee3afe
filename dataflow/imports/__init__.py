"""What an import does: a body becomes a stored object and a queued job, the object becomes contacts, and back again.

Who asks for it and who runs it are left to `web` and `worker`. May import `queue`, `contacts`, `storage`, `logs`,
`allocator` and what these stand on.
"""
