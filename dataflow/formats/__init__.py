"""Bytes become rows: one package for each format, one entry in `registry`.

A format has `read_blocks(pieces, reading, findings)`: bytes in pieces of any size become blocks of rows, in memory
bounded by a piece and a row. `detect` tells which format a content is in, `decoder` expands it. Which rows are good
contacts is left to `contacts`. May import `text`, `errors`.
"""
