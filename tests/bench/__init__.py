"""The benchmark behind the figures in the README: `python -m tests.bench`, or `make bench`.

Everything is printed and no speed is asserted: figures mean something beside a reference of the same run, not in a
test. What is asserted is that the work was done: rows counted, states of jobs looked at.
"""
