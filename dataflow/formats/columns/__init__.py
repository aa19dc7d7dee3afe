"""Which columns or members hold name and e-mail, whatever programs and languages call them.

Knows headers, not rows: those are left to the formats. Stands on the shared modules and `formats.block`.
"""
