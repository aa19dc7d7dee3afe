"""What the OpenAPI document says that is of no single route."""

from typing import Any, Final

SUMMARY: Final = "Contact files of any size, imported into Postgres exactly once."
INFO: Final = """
A file is POSTed to `/import`, or sent by tus to `/uploads`, and becomes a job; a worker imports its contacts.

- **Paths** also exist below `/v1`, and links in answers stay where the request came. Unknown query parameters are
  refused where it is about contacts and jobs. What can be read by GET can be asked about by HEAD.
- **X-Request-Id** may name a request; each answer has it, or a new one.
- **Keys** are sent as `Authorization: Bearer` or `X-API-Key`. A token that `POST /tokens` has made is for one source
  and its own jobs; it may also be in the address, as `?token=`. A service without keys is open to everybody.
- **Errors** are JSON like `{"error": "...", "code": "...", "status": 400, "issues": [...], "issueCount": 1}`; what a
  `code` means stands under ErrorCode. What has `Retry-After` may succeed later.
- **Examples** that belong together have the same name.
"""
TAGS: Final = [
    {"name": "imports", "description": "Files become jobs."},
    {"name": "uploads", "description": "The same in several requests, by tus 1.0.0."},
    {
        "name": "jobs",
        "description": "What became of them, and refused rows; stopping, repeating, undoing and forgetting.",
    },
    {"name": "contacts", "description": "What is in the table, and erasing one person."},
    {"name": "exports", "description": "Contacts go out."},
    {"name": "tokens", "description": "For browsers."},
    {"name": "health", "description": "Whether the service works."},
    {"name": "metrics", "description": "For Prometheus."},
    {"name": "openapi", "description": "This description."},
]
#: Views of other blueprints that belong to one of these.
TAG_OF: Final = {"events": "jobs", "rejects": "jobs", "export_jobs": "exports", "ui": "openapi"}
SECURITY: Final[dict[str, dict[str, Any]]] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A key of API_KEYS, or a token."},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same."},
    "token": {
        "type": "apiKey",
        "in": "query",
        "name": "token",
        "description": "A token, never a key: for links, downloads and EventSource, which cannot send headers.",
    },
}
HEADERS: Final[dict[str, dict[str, Any]]] = {
    "X-Request-Id": {
        "description": "Names the request in the log: the one that was sent, else a new one.",
        "schema": {"type": "string"},
        "required": True,
    },
    "RateLimit": {"description": "What is left, with RATE_LIMIT.", "schema": {"type": "string"}},
    "RateLimit-Policy": {"description": "What RATE_LIMIT allows.", "schema": {"type": "string"}},
}
SHARED_HEADERS: Final = {name: {"$ref": f"#/components/headers/{name}"} for name in HEADERS}
#: Of a job, in examples.
ANY_ID: Final = "01a1f9f7-5b1d-7c7e-8f3b-6f0f2f3b8a51"
