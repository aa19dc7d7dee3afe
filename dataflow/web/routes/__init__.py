"""The resources of the API: one module each, with its routes. What they share is in `web`."""
