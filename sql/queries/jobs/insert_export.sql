-- Nothing has to arrive first: it can be done at once. The trigger wakes the listeners when this commits.
INSERT INTO jobs (id, kind, state, source, file_name, content_type, format, options, request_id, created_by)
VALUES (%(id)s, 'export', 'queued', %(source)s, %(file_name)s, %(content_type)s, %(format)s, %(options)s,
        %(request_id)s, %(created_by)s)
