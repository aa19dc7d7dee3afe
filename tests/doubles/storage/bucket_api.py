"""Buckets: made, changed, listed, emptied and removed."""

from typing import Any
from urllib.parse import unquote

from tests.doubles.storage import refusals, rules
from tests.doubles.storage.messages import Request, Response, json_response
from tests.doubles.storage.service import Service
from tests.doubles.storage.state import Bucket, timestamp


def answer(service: Service, request: Request) -> Response:
    """Everything under `/bucket`."""
    _, _, rest = request.route.removeprefix("/").partition("/")
    bucket_id, _, action = (unquote(part) for part in rest.partition("/"))
    allowed = service.may_everything(request)
    match request.method, bool(bucket_id), action:
        case "POST", False, "":
            return _create(service, request.fields("name"), allowed)
        case "GET", False, "":
            return _list(service, request, allowed)
        case "GET", True, "":
            return json_response(_shown(_existing(service, bucket_id, service.may_see_buckets(request))))
        case "PUT", True, "":
            return _update(service, _existing(service, bucket_id, allowed), request.fields())
        case "POST", True, "empty":
            return _empty(service, _existing(service, bucket_id, allowed))
        case "DELETE", True, "":
            return _delete(service, _existing(service, bucket_id, allowed))
    raise refusals.no_route(request.method, request.path)


def _existing(service: Service, bucket_id: str, allowed: bool) -> Bucket:
    if not allowed:
        raise refusals.no_such_bucket()
    return service.bucket(bucket_id)


def _create(service: Service, fields: dict[str, Any], allowed: bool) -> Response:
    if not rules.is_bucket_name(fields["name"]):
        raise refusals.object_refusal(400, "InvalidBucketName", "Bucket name invalid", "Invalid Input")
    if not allowed:
        raise refusals.access_denied()
    name = fields["name"]
    now = timestamp()
    with service.state.lock:
        bucket_id = fields.get("id") or name
        if bucket_id in service.state.buckets:
            raise refusals.already_exists("BucketAlreadyExists")
        bucket = Bucket(
            bucket_id,
            name,
            bool(fields.get("public")),
            _limit(service, fields.get("file_size_limit")),
            fields.get("allowed_mime_types"),
            now,
            now,
        )
        service.state.put_bucket(bucket)
    return json_response({"name": name})


def _update(service: Service, bucket: Bucket, fields: dict[str, Any]) -> Response:
    if "public" in fields:
        bucket.public = bool(fields["public"])
    if "file_size_limit" in fields:
        bucket.file_size_limit = _limit(service, fields["file_size_limit"])
    if "allowed_mime_types" in fields:
        bucket.allowed_mime_types = fields["allowed_mime_types"]
    bucket.updated_at = timestamp()
    service.state.put_bucket(bucket)
    return json_response({"message": "Successfully updated"})


def _list(service: Service, request: Request, allowed: bool) -> Response:
    query = request.query
    shown = [_shown(bucket) for bucket in service.state.buckets.values() if allowed]
    found = [row for row in shown if query.get("search", "") in row["name"]]
    offset = int(query.get("offset") or 0)
    return json_response(found[offset : offset + int(query.get("limit") or len(found) or 1)])


def _empty(service: Service, bucket: Bucket) -> Response:
    """The real server only queues it; here it is done when the answer comes."""
    for row in service.state.in_bucket(bucket.id):
        service.state.remove(row)
    return json_response({"message": "Empty bucket has been queued. Completion may take up to an hour."})


def _delete(service: Service, bucket: Bucket) -> Response:
    with service.state.lock:
        if service.state.in_bucket(bucket.id):
            raise refusals.object_refusal(409, "ResourceNotEmpty", "The bucket you tried to delete is not empty")
        service.state.remove_bucket(bucket.id)
    return json_response({"message": "Successfully deleted"})


def _limit(service: Service, given: Any) -> int | None:
    try:
        limit = rules.size_bytes(given)
    except ValueError as error:
        raise refusals.object_refusal(
            400, "InvalidRequest", "Invalid file size format, hint: use 20GB / 20MB / 30KB / 3B"
        ) from error
    if limit is not None and limit > service.settings.global_limit:
        raise refusals.too_large()
    return limit


def _shown(bucket: Bucket) -> dict[str, Any]:
    return {
        "id": bucket.id,
        "name": bucket.name,
        "owner": bucket.owner,
        "public": bucket.public,
        "file_size_limit": bucket.file_size_limit,
        "allowed_mime_types": bucket.allowed_mime_types,
        "created_at": bucket.created_at,
        "updated_at": bucket.updated_at,
    }
