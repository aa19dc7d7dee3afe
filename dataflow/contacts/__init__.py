"""What a contact is: the rule, the columns of rows held against it, e-mail cells, and the text that COPY takes.

Where rows come from is left to `formats`, what becomes of them to `imports`. Stands on
`formats` and the shared modules.
"""
