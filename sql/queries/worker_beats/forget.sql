-- A worker that ends as it should is gone at once.
DELETE FROM worker_beats WHERE worker = %(worker)s
