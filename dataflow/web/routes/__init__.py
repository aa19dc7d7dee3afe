"""The resources of the API: one module each, with its routes.

What they have in common is in `web`.
"""
