"""The jobs table: states, leases, attempts, notifications, retention. What a job does is left to its handler.

May import `db` and the shared modules.
"""
