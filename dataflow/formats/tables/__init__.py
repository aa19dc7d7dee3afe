"""Rows of cells, from whatever file, as the columns of a block; what is wrong with them, and what they wear.

Stands on the other modules of `formats`, `csv` and `xlsx` apart.
"""
