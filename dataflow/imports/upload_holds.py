"""Which uploads the requests of this process hold: one request at a time, in whatever process of whatever host.

Whoever wants an upload that is held says so in its row, and waits until the holder lets go. A thread beats for all that
are held and sees there who is waited for. A holder that is dead lets nobody wait: one in this process whose client has
gone is evicted at once, one of a process that was killed is taken for dead after DEAD_SECONDS without a beat.
"""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from dataflow.db import Connection
from dataflow.errors import DatabaseError, UploadLocked, UploadTaken
from dataflow.queue import resumable_uploads
from dataflow.queue.resumable_uploads import UploadRow
from dataflow.queue.scope import ALL, Scope

logger = logging.getLogger(__name__)

BEAT_SECONDS, DEAD_SECONDS = 0.75, 3.0
WAIT_SECONDS, LOOK_SECONDS = 5.0, 0.1  #: for the holder to let go
#: A holder whose row was not seen for so long looks before it stores anything.
SURE_SECONDS = 1.5

Connect = Callable[[], AbstractContextManager[Connection]]


@dataclass(slots=True, eq=False)
class Hold:
    row: UploadRow
    evict: Callable[[], None]  #: ends the request, from any thread
    confirmed_at: float = field(default_factory=time.monotonic)
    is_evicted: bool = False
    is_over: bool = False  #: the row says that nobody holds it
    is_noted: bool = True  #: the row says how far the upload is
    is_final: bool = False  #: the storage makes the object: a connection that is cut now may cost the upload

    def end(self) -> None:
        if not self.is_final and not self.is_evicted:
            self.is_evicted = True
            self.evict()

    def check(self) -> None:
        """:raises UploadLocked: when it holds the upload no longer."""
        if self.is_evicted:
            raise UploadLocked("Another request has taken this upload over. Ask for the offset, and go on there.")


class UploadHolds:
    """Those of one process; used by all of its threads. `connect` gives a connection for one statement, or two."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._held: dict[UUID, Hold] = {}
        self._changed = threading.Condition()
        self._beating: threading.Thread | None = None
        self._pause = threading.Event()  #: never set

    def take(self, job_id: UUID, scope: Scope, evict: Callable[[], None]) -> Hold | None:
        """Hold an upload, for `release`; None when it is not open to the caller.

        :raises UploadLocked: when its holder does not let go within WAIT_SECONDS, or a later request wants it, too.
        """
        holder, deadline = f"web/{uuid4().hex}", time.monotonic() + WAIT_SECONDS
        with self._connect() as connection:
            row = resumable_uploads.take(connection, job_id, holder, DEAD_SECONDS, scope)
        if row is not None and row.worker != holder:
            row = self._wait(row, holder, deadline)
        return None if row is None else self.hold(row, evict)

    def hold(self, row: UploadRow, evict: Callable[[], None]) -> Hold:
        hold = Hold(row, evict)
        with self._changed:
            self._held[row.id] = hold
            if self._beating is None:
                self._beating = threading.Thread(target=self._beat_while_any, name="upload beats", daemon=True)
                self._beating.start()
        return hold

    def forget(self, hold: Hold) -> None:
        """The row says already that nobody holds it."""
        hold.is_over = True
        with self._changed:
            if self._held.get(hold.row.id) is hold:
                del self._held[hold.row.id]
            self._changed.notify_all()

    def release(self, hold: Hold) -> None:
        """Let go of it. Without a database it is free when its beats are missed."""
        if hold.is_over:
            return
        hold.is_over = True
        try:
            with self._connect() as connection:
                if hold.is_noted:
                    resumable_uploads.let_go(connection, hold.row)
                else:
                    resumable_uploads.note(connection, hold.row, is_over=True)
        except (DatabaseError, UploadTaken) as error:
            logger.warning("upload not let go", extra={"job_id": str(hold.row.id), "code": error.code})
        finally:
            self.forget(hold)

    def confirm(self, hold: Hold) -> None:
        """To be called before anything is stored.

        :raises UploadLocked: when another request waits for the upload, or has it.
        """
        hold.check()
        if time.monotonic() - hold.confirmed_at > SURE_SECONDS:
            with self._connect() as connection:
                attempts = resumable_uploads.beat(connection, {hold.row.id: str(hold.row.worker)})
            self.see(hold, attempts.get(hold.row.id))
            hold.check()

    def note(self, hold: Hold) -> None:
        """Write down how far its upload is.

        :raises UploadTaken: when it holds it no longer.
        """
        with self._connect() as connection:
            attempt = resumable_uploads.note(connection, hold.row)
        hold.is_noted = True
        self.see(hold, attempt)

    def see(self, hold: Hold, attempt: int | None) -> None:
        """Take notice of the row's attempt; None when the hold is lost."""
        if attempt == hold.row.attempt:
            hold.confirmed_at = time.monotonic()
        elif not hold.is_over:
            hold.end()

    def _wait(self, row: UploadRow, holder: str, deadline: float) -> UploadRow:
        with self._changed:
            own = self._held.get(row.id)
        if own is not None:
            own.end()
        while time.monotonic() < deadline:
            with self._changed:
                self._changed.wait(LOOK_SECONDS)
            with self._connect() as connection:
                if found := resumable_uploads.take_later(connection, row, holder, DEAD_SECONDS):
                    return found
                now = resumable_uploads.find(connection, row.id, ALL)
            if now is None or now.attempt != row.attempt:
                raise UploadLocked("A later request has asked for this upload.")
        raise UploadLocked(f"Another request has held this upload for {WAIT_SECONDS:g} s. Try again soon.")

    def _beat_while_any(self) -> None:
        while holds := self._next_round():
            try:
                with self._connect() as connection:
                    attempts = resumable_uploads.beat(connection, {hold.row.id: str(hold.row.worker) for hold in holds})
                for hold in holds:
                    self.see(hold, attempts.get(hold.row.id))
            except DatabaseError as error:
                logger.warning("upload beats missed", extra={"code": error.code})
            except Exception:
                logger.exception("beating for uploads broke")

    def _next_round(self) -> list[Hold]:
        """Those that are held after a while; most requests are over by then."""
        self._pause.wait(BEAT_SECONDS)
        with self._changed:
            if not self._held:
                self._beating = None
            return list(self._held.values())
