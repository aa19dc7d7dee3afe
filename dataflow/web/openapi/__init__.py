"""The service in OpenAPI 3.1: routes say beside themselves what they take and answer, `document` collects it."""
