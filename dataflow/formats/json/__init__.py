"""JSON documents and lines of JSON, from their pieces to blocks of rows, within limits that parsers do not have.

Stands on the other modules of `formats`, and on `columns` and `tables`.
"""
