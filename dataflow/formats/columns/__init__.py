"""Which columns or members hold name and e-mail, whatever programs and languages call them.

Stands on the shared modules and on the modules of `formats`, none of its packages.
"""
