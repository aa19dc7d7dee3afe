-- A part of an import's range; contacts that others have deleted are not counted.
DELETE FROM contacts WHERE id >= %(first)s AND id <= %(last)s
