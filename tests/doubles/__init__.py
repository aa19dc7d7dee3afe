"""Servers that stand in for those of others, and the tests that hold each of them to the original's contract."""
