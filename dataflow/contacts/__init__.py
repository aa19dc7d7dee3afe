"""What a contact is: the rule, the columns of rows held against it, e-mail cells, and the text that COPY takes.

Stands on `formats` and the shared modules. What becomes of contacts is left to `imports`.
"""
