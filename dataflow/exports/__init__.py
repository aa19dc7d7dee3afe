"""What an export does: one COPY of the contacts that are asked for, in a format, as a stream or as a job into storage.

Who asks for it, and how it is sent, is left to `web`. May import `queue`, `contacts`, `storage` and what these stand
on.
"""
