"""Our kind of gunicorn's threaded worker. Knows nothing of the application.

May import `config`, `storage` and what these stand on.
"""
