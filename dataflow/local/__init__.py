"""The embedded default: Postgres and all processes of the service on one machine, and the demo that shows them.

May import `client`, `db`, `config`, `allocator` and what these stand on.
"""
