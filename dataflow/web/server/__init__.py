"""gunicorn's threaded worker, ours: connections that hold no thread, and the threads and places of those that do.

Knows nothing of the application. Stands on the shared modules alone.
"""
