"""Drills: real faults put into real worker processes, and what is in the database afterwards.

Each drill breaks one thing (a process, a network, a server, a file), says how long it took until the work was done all
the same, and has every row counted: `contacts` holds exactly the rows of the jobs that succeeded, each once, and every
job has ended as it should. The group `siege` sends hostile clients and files instead, and has ordinary clients served
meanwhile. The quick ones are tests (tests/test_drills.py); `make drills` runs all, many rounds each.
"""
