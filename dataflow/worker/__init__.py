"""The listener process: claims due jobs, runs them, keeps them ours, hands them on, and removes what is over.

What a job does is left to `imports`. Stands on `queue`, `storage` and what is below them; `web` is never imported here.
"""
