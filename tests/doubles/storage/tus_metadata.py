"""The Upload-Metadata header: which object is meant, and what is stored with it."""

import base64
import binascii
from dataclasses import dataclass
from typing import Any

from tests.doubles.storage import rules
from tests.doubles.storage.refusals import tus_refusal
from tests.doubles.storage.upload_api import DEFAULT_CONTENT_TYPE, json_object


@dataclass(frozen=True, slots=True)
class Metadata:
    bucket: str
    key: str
    content_type: str
    cache_control: str
    user_metadata: dict[str, Any] | None


def parse_metadata(header: str) -> Metadata:
    """:raises Refusal: when it is missing, is not encoded as it should be, or names no object."""
    values = _pairs(header)
    bucket, key = values.get("bucketName", ""), values.get("objectName", "")
    if not rules.is_bucket_name(bucket):
        raise tus_refusal(400, "Bucket name invalid")
    if not rules.is_key(key):
        raise tus_refusal(400, f"Invalid key: {key}")
    age = values.get("cacheControl", "")
    return Metadata(
        bucket,
        key,
        values.get("contentType") or DEFAULT_CONTENT_TYPE,
        f"max-age={age}" if age.isdecimal() else "no-cache",
        json_object(values.get("metadata", "")),
    )


def _pairs(header: str) -> dict[str, str]:
    values = {}
    try:
        for pair in filter(None, (part.strip() for part in header.split(","))):
            name, _, encoded = pair.partition(" ")
            values[name] = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        values = {}
    if not values:
        raise tus_refusal(400, "Metadata header is required")
    return values
