"""JSON documents and lines of JSON, from their pieces to blocks of rows, within limits that parsers do not have.

May import the modules of `formats`, and of its packages `columns`, `tables`.
"""
