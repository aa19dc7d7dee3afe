"""What the resources of one process share."""

from dataclasses import dataclass

from flask import current_app

from dataflow import db
from dataflow.config import Config
from dataflow.imports.idempotency import IdempotencyKeys
from dataflow.imports.receive import Receiver
from dataflow.imports.resumable import ResumableUploads
from dataflow.storage.base import Storage
from dataflow.web.event_feed import EventFeed
from dataflow.web.server.transfers import Transfers
from dataflow.web.tokens import Tokens


@dataclass(frozen=True, slots=True)
class Services:
    config: Config
    pool: db.Pool
    storage: Storage
    receiver: Receiver
    resumable: ResumableUploads
    transfers: Transfers
    tokens: Tokens
    idempotency_keys: IdempotencyKeys
    event_feed: EventFeed


def services() -> Services:
    found = current_app.extensions["dataflow"]
    assert isinstance(found, Services)  # noqa: S101 - tells mypy what create_app put there
    return found
