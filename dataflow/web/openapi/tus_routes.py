"""What the routes of /uploads say of themselves: tus 1.0.0, in headers."""

from dataclasses import replace

from dataflow.imports.options import OptionsSchema
from dataflow.web.answers.imports import UploadSchema
from dataflow.web.openapi import errors, examples, headers
from dataflow.web.openapi.description import SUCCESS, Body, bare_answer, described, json_answer

_BYTES = {"type": "string", "format": "binary"}
_PIECE = {headers.OFFSET_STREAM: (_BYTES, {SUCCESS: examples.TABLE})}
_ERRORS = ["upload_not_found", "upload_gone", "upload_locked", "tus_version", *errors.OF_BODIES, *errors.OF_THE_STORAGE]
_BYTES_ERRORS = ["checksum_mismatch", "upload_lost", "object_too_large", "upload_cancelled", *errors.OF_CONTENTS]
_OVERRIDE = "Where only POST comes through: POST with X-HTTP-Method-Override."

tells = described(
    "What this server speaks of tus",
    {204: bare_answer("In the headers.", headers.CAPABILITIES)},
    methods=["OPTIONS"],
    is_open=True,
    uses_database=False,
)

creates = described(
    "Begin an upload, perhaps with its first bytes",
    {201: bare_answer("It is begun, and `Location` leads to it.", [*headers.UPLOAD_SHOWN, headers.LOCATION])},
    query=OptionsSchema,
    header_options=OptionsSchema,
    headers=[
        *(headers.TUS_RESUMABLE, headers.UPLOAD_LENGTH, headers.UPLOAD_DEFER_LENGTH, headers.UPLOAD_METADATA),
        *(headers.UPLOAD_CHECKSUM, headers.IDEMPOTENCY_KEY),
    ],
    body=Body({headers.OFFSET_STREAM: (_BYTES, {})}, "The beginning, if there is one.", is_required=False),
    errors=[*_ERRORS, *_BYTES_ERRORS, *errors.OF_KEYS],
    examples={SUCCESS: {"Tus-Resumable": "1.0.0", "Upload-Length": "5000", "source": examples.SOURCE}},
)

shows = described(
    "How far an upload is, by the row of its job",
    {200: json_answer("So far.", UploadSchema, examples.UPLOAD, headers.UPLOAD_SHOWN)},
    errors=["upload_not_found", "upload_gone"],
)

measures = described(
    "How far an upload is, by the storage",
    {200: bare_answer("In the headers.", headers.UPLOAD_MEASURED)},
    methods=["HEAD"],
    text=_OVERRIDE,
    headers=[headers.TUS_RESUMABLE],
    errors=_ERRORS,
    examples={SUCCESS: {"Tus-Resumable": "1.0.0"}},
)

appends = described(
    "The bytes that follow; the last of them make it a job",
    {204: bare_answer("They are stored.", headers.UPLOAD_SHOWN)},
    text=_OVERRIDE,
    headers=[
        *(headers.TUS_RESUMABLE, replace(headers.UPLOAD_OFFSET, text="Where they go."), headers.UPLOAD_LENGTH),
        headers.UPLOAD_CHECKSUM,
    ],
    body=Body(_PIECE),
    errors=[*_ERRORS, *_BYTES_ERRORS, "offset_conflict"],
    examples={SUCCESS: {"Tus-Resumable": "1.0.0", "Upload-Offset": "0"}},
)

ends = described(
    "End an upload that is not complete",
    {204: bare_answer("What was stored of it is gone.", headers.TUS_ANSWERED)},
    text=_OVERRIDE,
    headers=[headers.TUS_RESUMABLE],
    errors=[*_ERRORS, "upload_complete"],
    examples={SUCCESS: {"Tus-Resumable": "1.0.0"}},
)
