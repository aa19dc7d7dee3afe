"""vCards in all their versions, whole and damaged, as rows.

Stands on the other modules of `formats`.
"""
