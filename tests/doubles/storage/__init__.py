"""A double of the Supabase Storage server: a process of its own that behaves as the real one was measured to.

Start it from a test with `tests.doubles.storage.process.StorageDouble`, by hand with `python -m tests.doubles.storage`.
Its state is on disk, so it survives SIGKILL. Faults are put in, and its journal is read, under `/_double/`.
"""
