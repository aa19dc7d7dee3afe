"""The kinds of settings: what one environment variable may hold, and what those of addresses and names mean.

Their values are in `config`, which stands on this. Stands on `errors` alone.
"""
