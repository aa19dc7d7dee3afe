"""Workbooks: a sheet as rows, in memory that does not grow with it.

Stands on the other modules of `formats`, and on `columns` and `tables`.
"""
