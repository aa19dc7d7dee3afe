"""Our kind of gunicorn's threaded worker. Knows nothing of the application; imports shared modules and `storage`."""
