"""The listener process: claims due jobs, runs them, keeps them its own, hands them on, and removes what is over.

What a job does is left to its handler. May import `imports`, `exports` and what these stand on, never `web`.
"""
