"""What the handlers share: the settings, the state, and who may do what."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.doubles.storage import refusals, rules, tokens
from tests.doubles.storage.completions import Completions
from tests.doubles.storage.database import Connections
from tests.doubles.storage.faults import Faults
from tests.doubles.storage.journal import Journal
from tests.doubles.storage.messages import Request
from tests.doubles.storage.state import Bucket, State, StoredObject
from tests.doubles.storage.uploads import Uploads

#: TUS_URL_EXPIRY_MS of the real server.
EXPIRY_SECONDS = 3600.0
#: How long an idle connection is kept.
IDLE_SECONDS = 61.0
#: The pool of the real server, shared by all requests.
DATABASE_CONNECTIONS = 20
#: Above anything a test stores; hosted projects have one of their own.
GLOBAL_LIMIT_BYTES = 50 << 30


@dataclass(frozen=True, slots=True)
class Settings:
    """See the command's help."""

    folder: Path
    secret: str
    port: int = 0
    bytes_per_second: float | None = None
    global_limit: int = GLOBAL_LIMIT_BYTES
    honest_location: bool = False
    s3: bool = False
    expiry_seconds: float = EXPIRY_SECONDS
    drain_seconds: float = 3.0
    lock_seconds: float = 5.0
    idle_seconds: float = IDLE_SECONDS
    database_connections: int = DATABASE_CONNECTIONS
    connection_seconds: float = 3.0
    completion_seconds: float = 0.0
    sparse: bool = False


class Service:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.state = State(settings.folder)
        self.uploads = Uploads(self.state)
        self.database = Connections(settings.database_connections, settings.connection_seconds)
        self.completions = Completions(settings.completion_seconds)
        self.faults = Faults()
        self.journal = Journal()

    def claims(self, request: Request) -> dict[str, Any] | None:
        """What the bearer of the request claims; None without an Authorization header.

        :raises TokenRefused: when the key is no good.
        """
        given = request.headers.get("authorization")
        if given is None:
            return None
        scheme, _, token = given.partition(" ")
        return tokens.verify(self.settings.secret, token.strip() if scheme.lower() == "bearer" else given)

    def may_everything(self, request: Request) -> bool:
        """False for a key that may do nothing, such as the anon key.

        :raises Refusal: without a valid key.
        """
        try:
            claims = self.claims(request)
        except tokens.TokenRefused as error:
            raise refusals.access_denied(str(error)) from error
        if claims is None:
            raise refusals.invalid_request("headers must have required property 'authorization'")
        return claims.get("role") == "service_role"

    def may_see_buckets(self, request: Request) -> bool:
        """True also for a valid token without a role, which is found out at its first write alone.

        :raises Refusal: without a valid key.
        """
        return self.may_everything(request) or "role" not in (self.claims(request) or {})

    def is_authorized(self, request: Request) -> bool:
        try:
            return self.claims(request) is not None
        except tokens.TokenRefused:
            return False

    def bucket(self, bucket_id: str) -> Bucket:
        """:raises Refusal: when there is none."""
        if bucket := self.state.buckets.get(bucket_id):
            return bucket
        raise refusals.no_such_bucket()

    def visible(self, request: Request, bucket_id: str, key: str) -> StoredObject:
        """An object that the request may see.

        :raises Refusal: when there is none.
        """
        allowed = self.may_everything(request)
        self.bucket(bucket_id)
        row = self.state.find(bucket_id, key)
        if not allowed or row is None:
            raise refusals.no_such_key()
        return row

    def limit_bytes(self, bucket: Bucket) -> int:
        return min(bucket.file_size_limit or self.settings.global_limit, self.settings.global_limit)

    def check_writable(self, bucket: Bucket, key: str, is_upsert: bool, allowed: bool) -> None:
        """:raises Refusal: when the key is no key, is taken, or the bearer may not write."""
        if not rules.is_key(key):
            raise refusals.invalid_key(key)
        if not allowed:
            raise refusals.access_denied()
        if not is_upsert and self.state.find(bucket.id, key):
            raise refusals.already_exists()
