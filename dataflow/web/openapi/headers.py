"""The headers that requests and answers have beside those of all routes."""

from typing import Any, Final

from dataflow.storage.tus_headers import CONTENT_TYPE, VERSION
from dataflow.web import idempotency
from dataflow.web.openapi.description import Header

_BYTES: Final[dict[str, Any]] = {"type": "string", "pattern": "^[0-9]{1,15}$"}
_ONE: Final[dict[str, Any]] = {"type": "string", "const": "1"}

LOCATION: Final = Header("Location", "Where it is, below the prefix of the request.", is_required=True)
LINK: Final = Header("Link", 'With rel="next", the page that follows, if there is one (RFC 8288).')
DISPOSITION: Final = Header("Content-Disposition", "How the file is called (RFC 6266).", is_required=True)
IDEMPOTENCY_KEY: Final = Header(
    "Idempotency-Key",
    "Makes it safe to send the request again: within 24 hours the same gets the first answer, and imports nothing. "
    '1 to 255 printable ASCII characters, in double quotes or not: "8e03978e".',
    {"type": "string", "pattern": idempotency.PATTERN},
)
CONTENT_ENCODING: Final = Header(
    "Content-Encoding",
    "That the body is compressed. What is not declared is found out.",
    {"type": "string", "enum": ["gzip", "identity"]},
)
FILE_NAME: Final = Header(
    "Content-Disposition", "The name of a file that is sent without a form, as attachment; filename=contacts.csv."
)
ACCEPT_ENCODING: Final = Header("Accept-Encoding", "gzip has the answer compressed.")
CACHE_CONTROL: Final = Header("Cache-Control", "no-store", is_required=True)
PREFER: Final = Header(
    "Prefer",
    "wait=N has the answer wait until the job has ended, N seconds at most (RFC 7240), and 25.",
)
PREFERENCE_APPLIED: Final = Header("Preference-Applied", "That it has waited, and for how long at most.")
LAST_EVENT_ID: Final = Header("Last-Event-ID", "The id of the last event that has come, as browsers send it.")

# Of a file that is fetched, perhaps in parts (RFC 9110).
FETCHING: Final = (
    Header("Range", "The part that is wanted: bytes=1000-"),
    Header("If-Range", "Only if the file is still the one with this ETag; else all of it."),
    Header("If-None-Match", "Only if the file is not the one with this ETag."),
    Header("If-Modified-Since", "The same by time, without If-None-Match."),
)
UNCHANGED: Final = (
    Header("ETag", "Names the content.", is_required=True),
    Header("Repr-Digest", "Of the whole file (RFC 9530).", is_required=True),
    Header("Accept-Ranges", "bytes", is_required=True),
    Header("Cache-Control", "private, no-cache", is_required=True),
)
FETCHED: Final = (*UNCHANGED, DISPOSITION, Header("Last-Modified", "When it was made.", is_required=True))
CONTENT_RANGE: Final = Header("Content-Range", "Which part it is, and of how many bytes.", is_required=True)

# Of tus 1.0.0: https://tus.io/protocols/resumable-upload
TUS_RESUMABLE: Final = Header(
    "Tus-Resumable", "The version of the protocol.", {"type": "string", "const": VERSION}, True
)
UPLOAD_LENGTH: Final = Header("Upload-Length", "Bytes of the whole upload; else Upload-Defer-Length.", _BYTES)
UPLOAD_DEFER_LENGTH: Final = Header("Upload-Defer-Length", "The length is told later.", _ONE)
UPLOAD_METADATA: Final = Header(
    "Upload-Metadata",
    "filename, filetype, source and other options, each with a blank and its value in Base64, and commas between.",
    {"type": "string", "maxLength": 8000},
)
UPLOAD_CHECKSUM: Final = Header("Upload-Checksum", "Of the body: sha1 or sha256, a blank and the digest in Base64.")
UPLOAD_OFFSET: Final = Header("Upload-Offset", "Bytes that are there.", _BYTES, is_required=True)
UPLOAD_EXPIRES: Final = Header("Upload-Expires", "Until when it can go on, while it is open.")
TUS_ANSWERED: Final = (Header("Tus-Resumable", "1.0.0", {"type": "string"}, True),)
UPLOAD_SHOWN: Final = (
    *TUS_ANSWERED,
    UPLOAD_OFFSET,
    UPLOAD_EXPIRES,
    Header("Link", 'With rel="related", its job.', is_required=True),
    CACHE_CONTROL,
)
UPLOAD_MEASURED: Final = (*UPLOAD_SHOWN, UPLOAD_LENGTH, UPLOAD_DEFER_LENGTH, UPLOAD_METADATA)
CAPABILITIES: Final = (
    *TUS_ANSWERED,
    Header("Tus-Version", "Versions that are spoken.", is_required=True),
    Header("Tus-Extension", "Extensions that there are.", is_required=True),
    Header("Tus-Checksum-Algorithm", "For Upload-Checksum.", is_required=True),
    Header("Tus-Max-Size", "Bytes that an upload may have, where that is limited.", _BYTES),
)
OFFSET_STREAM: Final = CONTENT_TYPE
