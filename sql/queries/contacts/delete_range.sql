-- A part of an import's range; what others have deleted is not there to be counted.
DELETE FROM contacts WHERE id >= %(first)s AND id <= %(last)s
