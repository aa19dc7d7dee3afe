"""Objects by the handful: removed, listed, moved, copied."""

import shutil
from collections.abc import Sequence
from dataclasses import replace

from tests.doubles.storage import refusals, rules
from tests.doubles.storage.messages import Request, Response, json_response
from tests.doubles.storage.read_api import listed
from tests.doubles.storage.service import Service
from tests.doubles.storage.state import StoredObject


def delete_one(service: Service, request: Request, bucket: str, key: str) -> Response:
    if request.headers.get("content-type", "").startswith("application/json") and request.body.length_bytes == 0:
        raise refusals.invalid_request("Body cannot be empty when content-type is set to 'application/json'")
    if not service.state.remove(service.visible(request, bucket, key)):
        raise refusals.no_such_key()
    return json_response({"message": "Successfully deleted"})


def delete_many(service: Service, request: Request, bucket: str) -> Response:
    """The keys are exact, whatever their field is called; those that do not exist are passed over."""
    allowed = service.may_everything(request)
    keys = request.fields("prefixes")["prefixes"]
    if not keys:
        raise refusals.invalid_request("body/prefixes must NOT have fewer than 1 items")
    rows = [row for key in keys if allowed and (row := service.state.find(bucket, key))]
    shown = [(row, listed(service, row, row.key)) for row in rows]
    return json_response([as_it_was for row, as_it_was in shown if service.state.remove(row)])


def list_level(service: Service, request: Request, bucket: str) -> Response:
    """One level below a prefix, folders first, names relative to the prefix."""
    allowed = service.may_everything(request)
    fields = request.fields("prefix")
    prefix = fields["prefix"].strip("/")
    base = f"{prefix}/" if prefix else ""
    rows = [row for row in service.state.in_bucket(bucket) if allowed and row.key.startswith(base)]
    names = [(row.key[len(base) :], row) for row in rows]
    search = (fields.get("search") or "").lower()
    names = [(name, row) for name, row in names if name.lower().startswith(search)]
    folders = sorted({name.partition("/")[0] for name, _ in names if "/" in name})
    files = [listed(service, row, name) for name, row in names if "/" not in name]
    order = fields.get("sortBy") or {}
    files.sort(key=lambda row: str(row[order.get("column", "name")]), reverse=order.get("order") == "desc")
    empty = dict.fromkeys(("id", "updated_at", "created_at", "last_accessed_at", "metadata"))
    offset, limit = fields.get("offset") or 0, fields.get("limit") or 100
    return json_response(([{"name": folder, **empty} for folder in folders] + files)[offset : offset + limit])


def list_pages(service: Service, request: Request, bucket: str) -> Response:
    """list-v2: full names, in pages; the cursor is the last name of the page before."""
    allowed = service.may_everything(request)
    fields = request.fields()
    prefix, limit = fields.get("prefix") or "", fields.get("limit") or 1000
    rows = [row for row in service.state.in_bucket(bucket) if allowed and row.key.startswith(prefix)]
    entries = _with_folders(rows, prefix) if fields.get("with_delimiter") else [(row.key, row) for row in rows]
    entries = [entry for entry in entries if entry[0] > (fields.get("cursor") or "")]
    page, has_next = entries[:limit], len(entries) > limit
    return json_response(
        {
            "hasNext": has_next,
            "nextCursor": page[-1][0] if has_next else None,
            "folders": [{"key": name, "name": name} for name, row in page if row is None],
            "objects": [{**listed(service, row, name), "key": name} for name, row in page if row],
        }
    )


def _with_folders(rows: Sequence[StoredObject], prefix: str) -> list[tuple[str, StoredObject | None]]:
    entries: dict[str, StoredObject | None] = {}
    for row in rows:
        name, slash, _ = row.key[len(prefix) :].partition("/")
        entries[prefix + name + slash] = None if slash else row
    return sorted(entries.items())


def move(service: Service, request: Request) -> Response:
    """The target must be free, whatever `x-upsert` says."""
    row, bucket, key = _source_and_target(service, request, is_upsert=False)
    service.state.move(row, bucket, key)
    return json_response({"message": "Successfully moved"})


def copy(service: Service, request: Request) -> Response:
    row, bucket, key = _source_and_target(service, request, request.is_upsert)
    version = service.state.new_version()
    shutil.copyfile(service.state.bytes_path(row.version), service.state.bytes_path(version))
    made = service.state.commit(replace(row, bucket=bucket, key=key, version=version))
    return json_response({"Key": f"{bucket}/{key}", "Id": made.id, **listed(service, made, key)})


def _source_and_target(service: Service, request: Request, is_upsert: bool) -> tuple[StoredObject, str, str]:
    fields = request.fields("bucketId", "sourceKey", "destinationKey")
    key = fields["destinationKey"]
    if not rules.is_key(key):
        raise refusals.invalid_key(key)
    row = service.visible(request, fields["bucketId"], fields["sourceKey"])
    target = service.bucket(fields.get("destinationBucket") or row.bucket)
    service.check_writable(target, key, is_upsert, allowed=True)
    return row, target.id, key
