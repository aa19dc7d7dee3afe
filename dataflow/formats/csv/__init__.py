"""Delimited text in all its dialects, from its pieces to blocks of rows.

Which of its columns are wanted is left to `formats.columns`. Stands on the other modules of `formats`.
"""
