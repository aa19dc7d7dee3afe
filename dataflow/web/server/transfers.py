"""The transfers of one process, bodies in and files out: what they may hold, and which of them gives way.

Bodies share a budget of buffered bytes, rejects files have places, and exports places of their own. Where there is no
room or no thread for another transfer, the slowest gives way: one that is waited for and has been slow for a while,
never a fast one.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from dataflow.errors import RequestError, TooManyUploads, UploadLocked
from dataflow.storage.stop import Stop
from dataflow.web.server.pace import Clock, Pace

#: A body of at most this size reserves nothing: the number of threads bounds what all of them hold.
FREE_BYTES: Final = 64 * 1024
#: A burst is over sooner; refusing it would only make the clients come again.
WAIT_SECONDS: Final = 2.0
#: How often a thread that waits finds out whether its transfer has to give way, or its client has left.
LOOK_UP_SECONDS: Final = 0.25


class Budget:
    """An amount that is shared; the smallest wish is granted first, so that large ones do not keep small ones out.

    The last share of `greatest`, the most that a transfer takes, is for transfers that take less, if there are more.
    """

    def __init__(self, total: int, greatest: int) -> None:
        self.total = total
        self.free = total
        self.wanted: list[int] = []  #: amounts that are being waited for
        self._greatest = greatest

    def kept_from(self, amount: int) -> int:
        return self._greatest if amount == self._greatest < self.total else 0

    def fits(self, amount: int) -> bool:
        before_it = sum(other for other in self.wanted if other < amount)
        return before_it + amount + self.kept_from(amount) <= self.free

    def is_short(self, leaving: int) -> bool:
        return sum(self.wanted) + max(map(self.kept_from, self.wanted), default=0) > self.free + leaving


class Transfer:
    def __init__(self, pace: Pace, hang_up: Callable[[], None] | None = None) -> None:
        self.pace = pace
        self._hang_up = hang_up  #: ends a wait that does not `check`
        self.budget: Budget | None = None
        self.amount = 0  #: of `budget`
        self.is_displaced = False
        self.is_evicted = False
        self.stop = Stop()  #: set when it has to end because the process does

    def displace(self, for_good: bool = False) -> None:
        """End the transfer, from any thread; `for_good` when the process ends."""
        if for_good:
            self.stop.set()
        self.is_displaced = True
        if self._hang_up:
            self._hang_up()

    def evict(self) -> None:
        """End the transfer, from any thread, because another request goes on with the same upload.

        What the storage is being sent is not cut: nobody would know whether it is stored.
        """
        self.is_evicted = True
        self.displace()

    def check(self) -> None:
        """To be called at least every LOOK_UP_SECONDS while the client is waited for.

        :raises UploadLocked: when another request goes on with the same upload.
        :raises RequestError: upload_displaced when it has to give way.
        :raises RequestError: upload_cut when the process ends.
        :raises RequestError: upload_stalled when the client is too slow in any case.
        """
        if self.is_evicted:
            raise UploadLocked("Another request has taken this upload over. Ask for the offset, and go on there.")
        if self.stop.is_set():
            raise RequestError(
                "The service is being restarted and could not wait for the end of this body. Send it again.",
                code="upload_cut",
            )
        if self.is_displaced:
            raise RequestError(
                f"The body came at {self.pace.bytes_second:.0f} bytes a second, the slowest here, and gave way to "
                "another when there was no room left. Send it again.",
                code="upload_displaced",
            )
        self.pace.check()


class Transfers:
    """Used by all threads of a process."""

    def __init__(  # noqa: PLR0913, PLR0917 - the settings that bound them
        self,
        max_uploads: int,
        chunk_bytes: int,
        stall_seconds: float,
        min_bytes_second: int,
        clock: Clock = time.monotonic,
        max_exports: int = 1,
    ) -> None:
        self._chunk_bytes = chunk_bytes
        self._stall_seconds = stall_seconds
        self._min_bytes_second = min_bytes_second
        self._clock = clock
        self._changed = threading.Condition()
        self._is_cut = False
        self._under_way: set[Transfer] = set()
        self._buffers = Budget(max_uploads * chunk_bytes, chunk_bytes)
        self._files = Budget(max_uploads, max_uploads)
        self._exports = Budget(max_exports, max_exports)

    def begin(self, hang_up: Callable[[], None] | None = None) -> Transfer:
        transfer = Transfer(Pace(self._stall_seconds, self._min_bytes_second, self._clock), hang_up)
        with self._changed:
            self._under_way.add(transfer)
            if self._is_cut:
                transfer.displace(for_good=True)
        return transfer

    def end(self, transfer: Transfer) -> None:
        self.release(transfer)
        with self._changed:
            self._under_way.discard(transfer)

    def reserve(self, transfer: Transfer, size_bytes: int | None, has_left: Callable[[], bool]) -> None:
        """Reserve the buffer of a body of `size_bytes`; None if that is unknown, but more than FREE_BYTES.

        :raises TooManyUploads: when there is no room within WAIT_SECONDS.
        :raises RequestError: incomplete_body when `has_left` says so meanwhile.
        """
        amount = self._chunk_bytes if size_bytes is None else min(size_bytes, self._chunk_bytes)
        if size_bytes is None or size_bytes > FREE_BYTES:
            refusal = (
                f"The bodies under way may hold {self._buffers.total} bytes (MAX_UPLOADS times UPLOAD_CHUNK_SIZE), and "
                f"there are no {amount} left for this one. Try again soon."
            )
            self._take(self._buffers, amount, transfer, has_left, TooManyUploads(refusal))

    def release(self, transfer: Transfer) -> None:
        with self._changed:
            if transfer.budget:
                transfer.budget.free += transfer.amount
                transfer.budget, transfer.amount = None, 0
                self._changed.notify_all()

    @contextmanager
    def file(self, hang_up: Callable[[], None], has_left: Callable[[], bool]) -> Iterator[Transfer]:
        """The place of a rejects file that goes out; `hang_up` ends a send that waits for the client.

        :raises TooManyUploads: when there is no place within WAIT_SECONDS.
        :raises RequestError: incomplete_body when `has_left` says so meanwhile.
        """
        refusal = f"This process sends {self._files.total} rejects files already (MAX_UPLOADS). Try again soon."
        with self._place(self._files, TooManyUploads(refusal), hang_up, has_left) as transfer:
            yield transfer

    @contextmanager
    def export(self, hang_up: Callable[[], None], has_left: Callable[[], bool]) -> Iterator[Transfer]:
        """The same for an export, which also has a connection to the database.

        :raises RequestError: too_many_exports, or as `file`.
        """
        refusal = f"This process sends {self._exports.total} exports already (MAX_EXPORTS). Try again soon."
        full = RequestError(refusal, code="too_many_exports")
        with self._place(self._exports, full, hang_up, has_left) as transfer:
            yield transfer

    @contextmanager
    def _place(
        self, places: Budget, full: RequestError, hang_up: Callable[[], None], has_left: Callable[[], bool]
    ) -> Iterator[Transfer]:
        transfer = self.begin(hang_up)
        try:
            self._take(places, 1, transfer, has_left, full)
            yield transfer
        finally:
            self.end(transfer)

    def make_room(self) -> bool:
        """Have one more transfer give way, whose thread is free within a moment; False when none may be cut.

        To be called once for each request that finds no thread.
        """
        with self._changed:
            return self._displace_one(list(self._under_way))

    def cut(self) -> None:
        """End all transfers, and those that begin later, because the process ends."""
        with self._changed:
            self._is_cut = True
            for transfer in self._under_way:
                transfer.displace(for_good=True)

    def free_places(self) -> int:
        """For how many more bodies of any size there is room."""
        with self._changed:
            taken = sum(self._buffers.wanted) + self._buffers.kept_from(self._chunk_bytes)
            return max(0, self._buffers.free - taken) // self._chunk_bytes

    def _take(
        self, budget: Budget, amount: int, transfer: Transfer, has_left: Callable[[], bool], full: RequestError
    ) -> None:
        deadline = self._clock() + WAIT_SECONDS
        with self._changed:
            budget.wanted.append(amount)
            try:
                while not budget.fits(amount):
                    self._make_room_in(budget)
                    if (left_seconds := deadline - self._clock()) <= 0:
                        raise full
                    self._changed.wait(min(left_seconds, LOOK_UP_SECONDS))
                    if has_left():
                        raise RequestError(
                            "The client has left while its request waited for a place.", code="incomplete_body"
                        )
                budget.free -= amount
                transfer.budget, transfer.amount = budget, amount
            finally:
                budget.wanted.remove(amount)
                self._changed.notify_all()

    def _make_room_in(self, budget: Budget) -> None:
        holders = [transfer for transfer in self._under_way if transfer.budget is budget]
        while budget.is_short(sum(transfer.amount for transfer in holders if transfer.is_displaced)):
            if not self._displace_one(holders):
                return

    def _displace_one(self, transfers: list[Transfer]) -> bool:
        slow = [transfer for transfer in transfers if not transfer.is_displaced and transfer.pace.is_slow]
        slowest = min(slow, key=lambda transfer: transfer.pace.bytes_second, default=None)
        if slowest:
            slowest.displace()
        return slowest is not None
