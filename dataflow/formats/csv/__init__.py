"""Delimited text in all its dialects, from its pieces to blocks of rows.

May import the modules of `formats`, and of its packages `columns`, `tables`.
"""
