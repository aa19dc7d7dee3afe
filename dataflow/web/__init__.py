"""HTTP in, jobs out: the application (`app`), a module for each resource (`routes`), clients' connections (`server`).

What becomes of a job is left to `worker`. May import `web.server`, `imports`, `exports`, `metrics` and what these
stand on.
"""
