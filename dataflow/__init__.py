"""DataFlow: contact imports of any size, from HTTP through object storage into Postgres."""

__version__ = "0.1.0"
