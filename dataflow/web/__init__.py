"""HTTP in, jobs out: the WSGI application, and the gunicorn worker that serves it.

`app` has the application, `routes` one module for each resource, `server` the connections of clients. What becomes of a
job is left to `worker`, which is never imported here. Stands on `imports`, `queue`, `storage` and what is below them.
"""
