"""Workbooks: a sheet as rows, in memory that does not grow with it.

May import the modules of `formats`, and of its packages `columns`, `tables`.
"""
