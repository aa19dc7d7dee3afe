-- Whether an operator has made an index of sources that has each one's contacts in order. Without it,
-- contacts/list_of_sources.sql would read and sort the table for each source.
SELECT EXISTS (
    SELECT FROM pg_index i
    JOIN pg_attribute source ON source.attrelid = i.indrelid AND source.attnum = i.indkey[0]
    JOIN pg_attribute id ON id.attrelid = i.indrelid AND id.attnum = i.indkey[1]
    WHERE i.indrelid = 'contacts'::regclass AND i.indisvalid AND i.indpred IS NULL AND i.indnkeyatts > 1
      AND source.attname = 'source' AND id.attname = 'id'
)
