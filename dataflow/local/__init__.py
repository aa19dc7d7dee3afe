"""The embedded default: Postgres and all processes of the service on one machine, and the demo that shows them.

Stands on the shared modules; `demo` also on `client`.
"""
