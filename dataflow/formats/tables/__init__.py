"""Rows of cells, from whatever file, as the columns of a block; where their header row is, and what is wrong with them.

May import the modules of `formats`, and of its packages `columns`.
"""
