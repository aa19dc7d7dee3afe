"""The jobs table: states, leases, attempts, notifications, retention. What a job does is left to its handler.

May import `db`, `text`, `ids` and what these stand on.
"""
