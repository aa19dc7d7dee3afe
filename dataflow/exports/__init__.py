"""What an export does: one COPY of the contacts that are asked for, in a format, and guards against formulas.

Who asks for it, and how it is sent, is left to `web`. May import `queue`, `contacts` and what these stand on.
"""
