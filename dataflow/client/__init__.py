"""What commands do at a running service, over HTTP: import a file and wait for its contacts.

May import `errors` and what these stand on.
"""
