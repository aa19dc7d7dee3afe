"""Where bodies live: a backend is one module or package here and one line in `registry`.

What an object means is left to `imports`. May import `config` and what this stands on.
"""
