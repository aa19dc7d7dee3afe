"""vCards in all their versions, whole and damaged, as rows.

May import the modules of `formats`, and none of its packages.
"""
