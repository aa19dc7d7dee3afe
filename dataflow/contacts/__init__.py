"""What a contact is: the rule, the columns of rows held against it, e-mail cells, and the text that COPY takes.

What becomes of contacts is left to `imports`. May import `formats`, `ids` and what these stand on.
"""
