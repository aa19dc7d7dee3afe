"""Which columns or members hold name and e-mail, whatever programs and languages call them.

May import the modules of `formats`, and none of its packages.
"""
