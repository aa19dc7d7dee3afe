"""Signed URLs: links that read or write one object without a key. Signed TUS is not offered."""

import time
from typing import Any
from urllib.parse import quote

from tests.storage_double import refusals, tokens
from tests.storage_double.messages import Request, Response, json_response
from tests.storage_double.read_api import read
from tests.storage_double.service import Service
from tests.storage_double.upload_api import store

#: A setting of the real server, not of the request.
UPLOAD_LINK_SECONDS = 60


def sign(service: Service, request: Request, bucket: str, key: str) -> Response:
    seconds = int(request.fields("expiresIn")["expiresIn"])
    service.visible(request, bucket, key)
    return json_response({"signedURL": _link(service, "sign", bucket, key, seconds)})


def sign_many(service: Service, request: Request, bucket: str) -> Response:
    """What cannot be signed says so in its own item."""
    allowed = service.may_everything(request)
    fields = request.fields("expiresIn", "paths")
    items: list[dict[str, str | None]] = []
    for key in fields["paths"]:
        found = allowed and service.state.find(bucket, key)
        link = _link(service, "sign", bucket, key, int(fields["expiresIn"])) if found else None
        missing = "Either the object does not exist or you do not have access to it"
        items.append({"error": None if found else missing, "path": key, "signedURL": link})
    return json_response(items)


def read_signed(service: Service, request: Request, bucket: str, key: str) -> Response:
    _claims(service, request, bucket, key)
    service.bucket(bucket)
    if row := service.state.find(bucket, key):
        return read(service, request, row)
    raise refusals.no_such_key()


def sign_upload(service: Service, request: Request, bucket_id: str, key: str) -> Response:
    allowed = service.may_everything(request)
    service.check_writable(service.bucket(bucket_id), key, request.is_upsert, allowed)
    link = _link(service, "upload/sign", bucket_id, key, UPLOAD_LINK_SECONDS, upsert=request.is_upsert)
    return json_response({"url": link, "token": link.partition("?token=")[2]})


def upload_signed(service: Service, request: Request, bucket: str, key: str) -> Response:
    claims = _claims(service, request, bucket, key)
    store(service, request, bucket, key, bool(claims.get("upsert")), allowed=True)
    return json_response({"Key": f"{bucket}/{key}"})


def _link(service: Service, route: str, bucket: str, key: str, seconds: int, **claims: Any) -> str:
    now = int(time.time())
    claims = {"url": f"{bucket}/{key}", "iat": now, "exp": now + seconds, **claims}
    token = tokens.make(service.settings.secret, claims)
    return f"/object/{route}/{quote(bucket)}/{quote(key)}?token={token}"


def _claims(service: Service, request: Request, bucket: str, key: str) -> dict[str, Any]:
    try:
        claims = tokens.verify(service.settings.secret, request.query.get("token", ""))
    except tokens.TokenRefused as error:
        raise refusals.invalid_token(str(error)) from error
    if claims.get("url") != f"{bucket}/{key}":
        raise refusals.object_refusal(400, "InvalidSignature", "Invalid signature")
    return claims
