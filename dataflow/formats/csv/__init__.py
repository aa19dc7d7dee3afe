"""Delimited text in all its dialects, from its pieces to blocks of rows.

Stands on the other modules of `formats`, and on `columns` and `tables`.
"""
