"""Bytes become rows: one package or module for each format, one line in `registry`.

A format module has `read_blocks(pieces, reading, findings)`: bytes in pieces of any size in, blocks of rows out, memory
bounded by a piece and a row. `registry` has what comes before: which format it is, and what is wrapped around it. Which
of the rows are good contacts is left to `contacts`. Stands on the shared modules alone.
"""
