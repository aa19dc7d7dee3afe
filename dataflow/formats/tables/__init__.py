"""Rows of cells, from whatever file, as the columns of a block; where their header row is, and what is wrong with them.

Stands on the other modules of `formats`, and on `columns`.
"""
