"""Workbooks: a sheet as rows, in memory that does not grow with it.

Which of its columns are wanted is left to `formats.columns`. Stands on the other modules of `formats`.
"""
