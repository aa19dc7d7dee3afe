"""Examples: a request that anybody may send, and what it gets."""

import json
from typing import Any, Final

from dataflow.web.openapi.texts import ANY_ID

_CONTACT_ID: Final = "01a1f9f7-6e07-7a83-9d1c-2f6b8c1d4e90"
SOURCE: Final = "newsletter"
TABLE: Final = "name,email\nAlice,alice@example.com\nBob,bob@example.com\n"
CARDS: Final = "BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Alice\r\nEMAIL:alice@example.com\r\nEND:VCARD\r\n"
LINES: Final = '{"name": "Alice", "email": "alice@example.com"}\n{"name": "Bob", "email": "bob@example.com"}\n'
CONTACTS: Final = {
    "source": SOURCE,
    "data": [{"name": "Alice", "email": "alice@example.com"}, {"name": "Bob", "email": "bob@example.com"}],
}
BAD_CONTACTS: Final = {"source": SOURCE, "data": [{"name": "Carol", "email": "nowhere"}]}
FORM: Final = {"file": TABLE, "source": SOURCE, "onInvalid": "skip"}

ACCEPTED: Final = {"jobId": ANY_ID}
JOB: Final[dict[str, Any]] = {
    "jobId": ANY_ID,
    "kind": "import",
    "ofJob": None,
    "state": "succeeded",
    "partial": True,
    "source": SOURCE,
    "fileName": "contacts.csv",
    "rowsImported": 2,
    "rowsUpdated": 0,
    "rowsSkipped": 0,
    "rowsRejected": 1,
    "rowsNotImported": 0,
    "rowsExported": 0,
    "rowsRead": 3,
    "bytesDone": 72,
    "bytesTotal": 72,
    "contentSha256": None,
    "error": None,
    "attempt": 1,
    "failures": 0,
    "maxFailures": 5,
    "runAt": "2026-11-30T09:00:00.000Z",
    "createdAt": "2026-11-30T09:00:00.000Z",
    "startedAt": "2026-11-30T09:00:00.120Z",
    "finishedAt": "2026-11-30T09:00:00.180Z",
    "contentType": "text/csv",
    "format": "csv",
    "options": {"onInvalid": "skip", "maxRejects": 100000, "onConflict": "insert", "dryRun": False},
    "detected": {"encoding": "utf-8", "delimiter": ",", "headerLine": 1, "columns": ["name", "email"]},
    "ignoredColumns": [],
    "issues": [
        {"path": ["data", 2, "email"], "message": "Invalid email format: An email address must have an @-sign."}
    ],
    "firstContactId": _CONTACT_ID,
    "lastContactId": "01a1f9f7-6e07-7a83-9d1c-2f6b9d3e5fa1",
    "objectDeletedAt": "2026-11-30T09:00:00.200Z",
    "expiresAt": None,
    "revertedAt": None,
    "revertedRows": None,
    "duplicateOf": None,
    "requestId": "c2a1f0a3b1ab4d0f8f43d1f2a7d4b9e0",
    "createdBy": "crm",
    "links": {"self": f"/jobs/{ANY_ID}", "rejects": f"/jobs/{ANY_ID}/rejects", "events": f"/jobs/{ANY_ID}/events"},
}
JOBS: Final = {"jobs": [{name: value for name, value in JOB.items() if name != "issues"}]}
CANCELLED: Final = {**JOB, "state": "cancelled", "partial": False, "rowsImported": 0, "rowsRead": 0, "rowsRejected": 0}
QUEUED: Final = {**CANCELLED, "state": "queued", "finishedAt": None, "startedAt": None, "objectDeletedAt": None}
REVERT: Final = {**QUEUED, "kind": "revert", "ofJob": ANY_ID, "jobId": _CONTACT_ID}
EXPORT: Final = {
    **JOB,
    "kind": "export",
    "partial": False,
    "fileName": f"contacts-{SOURCE}.csv",
    **dict.fromkeys(("rowsImported", "rowsRejected", "rowsRead"), 0),
    "rowsExported": 2,
    "contentSha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "expiresAt": "2026-12-07T09:00:00.180Z",
    "options": {"format": "csv", "source": SOURCE},
    "detected": {},
    "issues": [],
    "firstContactId": None,
    "lastContactId": None,
    "objectDeletedAt": None,
    "links": {
        "self": f"/exports/{ANY_ID}",
        "job": f"/jobs/{ANY_ID}",
        "file": f"/exports/{ANY_ID}/file",
        "events": f"/jobs/{ANY_ID}/events",
    },
}
EVENT: Final = {"id": "1795996033779048", "event": "done", "data": json.dumps(JOB)}
REJECTS: Final = {
    "rejects": [
        {
            "record": 3,
            "line": 4,
            "field": "email",
            "code": "invalid_email",
            "message": "email: Invalid email format: An email address must have an @-sign.",
            "row": ["Carol", "nowhere"],
            "truncated": False,
        }
    ],
    "columns": ["name", "email"],
}
REJECTS_TABLE: Final = (
    "name,email,_record,_line,_code,_error\n"
    "Carol,nowhere,3,4,invalid_email,email: Invalid email format: An email address must have an @-sign.\n"
)
REJECTS_LINES: Final = '{"name": "Carol", "email": "nowhere", "_record": 3, "_code": "invalid_email"}\n'
PREVIEW: Final = {
    "format": "csv",
    "encoding": "utf-8",
    "delimiter": ",",
    "headerLine": 1,
    "columns": ["name", "email"],
    "ignoredColumns": [],
    "isComplete": True,
    "rows": [{"record": 1, "line": 2, "name": "Alice", "email": "alice@example.com", "problems": []}],
}
UPLOAD: Final = {
    "jobId": ANY_ID,
    "state": "uploading",
    "offset": 0,
    "length": 66,
    "expiresAt": "2026-12-01T09:00:00.000Z",
    "links": {"self": f"/uploads/{ANY_ID}", "job": f"/jobs/{ANY_ID}"},
}
CONTACT: Final = {
    "id": _CONTACT_ID,
    "name": "Alice",
    "email": "alice@example.com",
    "source": SOURCE,
    "importedAt": "2026-11-30T09:00:00.150Z",
}
ERASED: Final = {"contacts": 1, "rejects": 0, "jobs": 0, "files": 0, "filesLeft": [], "filesUnread": 0}
TOKEN: Final = {"token": "crm~eyJpZCI6...", "expiresAt": "2026-11-30T10:00:00.000Z", "source": SOURCE}
EXPORTED_TABLE: Final = (
    "name,email,source,imported_at,_quoted\nAlice,alice@example.com,newsletter,2026-11-30 09:00:00.15,\n"
)
EXPORTED_LINES: Final = '{"name":"Alice","email":"alice@example.com","source":"newsletter"}\n'
EXPORTED: Final = [{"name": "Alice", "email": "alice@example.com", "source": SOURCE}]
HEALTH: Final = {
    "status": "healthy",
    "timestamp": "2026-11-30T09:00:00.000Z",
    "checks": {
        "database": {"status": "ok"},
        "storage": {"status": "ok"},
        "worker": {"status": "ok", "live": 1},
    },
}
UNHEALTHY: Final = {
    "status": "unhealthy",
    "error": "storage: The storage cannot be reached.",
    "timestamp": "2026-11-30T09:00:00.000Z",
    "checks": {
        "database": {"status": "ok"},
        "storage": {"status": "failed", "error": "The storage cannot be reached."},
        "worker": {"status": "ok", "live": 1},
    },
}
METRICS: Final = '# TYPE dataflow_jobs gauge\ndataflow_jobs{state="queued"} 0.0\n'
