"""The jobs table: states, leases, attempts, notifications, retention. Knows nothing of what a job does.

Stands on `db` and the shared modules.
"""
