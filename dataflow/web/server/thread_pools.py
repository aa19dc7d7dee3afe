"""The threads of a web process, by kind of request, so that none waits behind those of another kind."""

import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, Final

from dataflow.settings.contradictions import transfer_threads
from dataflow.web.server.connection import Connection
from dataflow.web.server.request_head import Kind
from dataflow.web.server.transfer_queue import TransferQueue, Transfers

#: More threads that compute would only keep each other, and the thread that accepts, waiting.
LIST_THREADS: Final = 3
#: Started when needed: while the database hangs, each probe takes all the time that it may.
PROBE_THREADS: Final = 16


def ordinary_pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads - transfer_threads(threads), "ordinary")


class ThreadPools:
    """`serve` runs in a thread of one of the pools, which then calls `on_done`; all other calls are of one thread."""

    def __init__(  # noqa: PLR0913, PLR0917 - how many threads, and for what
        self,
        ordinary: Executor,
        threads: int,
        max_streams: int,
        transfers: Transfers,
        serve: Callable[[Connection], Any],
        on_done: Callable[[Connection, Future[Any]], None],
    ) -> None:
        count = transfer_threads(threads)
        self._pools: dict[Kind, Executor] = {
            Kind.TRANSFER: ThreadPoolExecutor(count, "transfer"),
            Kind.STREAM: ThreadPoolExecutor(max_streams, "stream"),
            Kind.LIST: ThreadPoolExecutor(LIST_THREADS, "list"),
            Kind.PROBE: ThreadPoolExecutor(PROBE_THREADS, "probe"),
            Kind.ORDINARY: ordinary,
        }
        self._serve = serve
        self._on_done = on_done
        self._max_streams = max_streams
        self._streams = 0
        self._queue = TransferQueue(count, transfers, self._submit, self._put_off)
        self.free_places = self._queue.free_places
        self.look_up = self._queue.look_up

    def start(self, connection: Connection) -> None:
        """Have a request answered; a transfer may have to wait, or is put off.

        A stream that finds no thread is answered as an ordinary request: by `defers` the application sees that its
        thread must not wait.
        """
        if connection.kind is Kind.STREAM and self._streams >= self._max_streams:
            connection.kind = Kind.ORDINARY
        is_transfer, is_stream = connection.kind is Kind.TRANSFER, connection.kind is Kind.STREAM
        connection.sock.defers, connection.sock.is_put_off = not (is_transfer or is_stream), False
        if is_transfer:
            self._queue.add(connection, time.monotonic())
        else:
            self._streams += is_stream
            self._submit(connection)

    def end(self, connection: Connection) -> None:
        if connection.kind is Kind.TRANSFER:
            self._queue.end_one()
        elif connection.kind is Kind.STREAM:
            self._streams -= 1

    def _put_off(self, connection: Connection) -> None:
        """Have a transfer refused by a thread of another pool."""
        connection.kind, connection.sock.defers, connection.sock.is_put_off = Kind.ORDINARY, True, True
        self._submit(connection)

    def _submit(self, connection: Connection) -> None:
        done = self._pools[connection.kind].submit(self._serve, connection)
        done.add_done_callback(lambda future: self._on_done(connection, future))
