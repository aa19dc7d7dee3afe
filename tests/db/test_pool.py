"""A pool of connections through outages: who finds none has one tried, and a stale one costs its request nothing."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest

from dataflow.db import pool
from dataflow.db.pool import Pool
from dataflow.errors import DatabaseError, DatabaseUnavailable, TooManyConnections
from tests.support.waiting import eventually

pytestmark = pytest.mark.unit

SIZE, TIMEOUT_SECONDS = 3, 3.0


class Connection:
    """What a server has given; it works until the server goes."""

    def __init__(self, life: int) -> None:
        self.life = life
        self.closed = False

    def close(self) -> None:
        self.closed = True


class Server:
    """A server that is up, down, starting, or swallows what it is sent; each start ends the connections before it."""

    def __init__(self) -> None:
        self.state = "up"
        self.life = 1
        self.attempts = 0
        self.made: list[Connection] = []
        self.healed = threading.Event()

    def connect(self) -> Connection:
        self.attempts += 1
        if self.state == "silent":
            assert self.healed.wait(20)
        if self.state == "full":
            raise TooManyConnections("too many connections")
        if self.state != "up":
            raise DatabaseUnavailable(self.state)
        self.made.append(Connection(self.life))
        return self.made[-1]

    def answers(self, connection: Connection) -> bool | None:
        if self.state == "silent":
            return None
        return self.state in ("up", "full") and connection.life == self.life

    def is_starting(self, error: DatabaseError) -> bool:
        return error.message == "starting"

    def restart(self) -> None:
        self.life += 1
        self.state = "up"

    def open(self) -> list[Connection]:
        return [connection for connection in self.made if not connection.closed]


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def connections(server: Server) -> Pool:
    return Pool(server, SIZE, TIMEOUT_SECONDS)


def use(connections: Pool) -> float:
    """Seconds that it takes to get one."""
    began = time.monotonic()
    with connections.connection():
        return time.monotonic() - began


def hold_all(connections: Pool, count: int = SIZE) -> ExitStack:
    held = ExitStack()
    for _ in range(count):
        held.enter_context(connections.connection())
    return held


def test_one_connection_serves_request_after_request(connections: Pool, server: Server) -> None:
    for _ in range(10):
        use(connections)
    assert server.attempts == 1


def test_there_are_never_more_than_the_size_and_whoever_waits_gets_the_next(connections: Pool, server: Server) -> None:
    most, lock = [0], threading.Lock()
    using = [0]

    def work(_: int) -> None:
        with connections.connection():
            with lock:
                using[0] += 1
                most[0] = max(most[0], using[0])
            time.sleep(0.001)
            with lock:
                using[0] -= 1

    with ThreadPoolExecutor(20) as clients:
        list(clients.map(work, range(200)))
    assert most[0] <= SIZE
    assert len(server.made) <= SIZE


def test_all_of_them_stale_after_a_restart_cost_a_request_nothing(connections: Pool, server: Server) -> None:
    hold_all(connections).close()
    server.restart()
    assert use(connections) < 1
    assert len(server.open()) == 1


def test_a_server_that_refuses_is_refused_at_once_with_its_reason(connections: Pool, server: Server) -> None:
    use(connections)
    server.state = "down"
    began = time.monotonic()
    with pytest.raises(DatabaseUnavailable, match="down"), connections.connection():
        pass
    assert time.monotonic() - began < TIMEOUT_SECONDS / 2


def test_a_server_that_is_starting_is_waited_for(connections: Pool, server: Server) -> None:
    server.state = "starting"
    with ThreadPoolExecutor(1) as client:
        waiting = client.submit(use, connections)
        eventually(lambda: server.attempts >= 2)
        server.restart()
        assert waiting.result(5) < TIMEOUT_SECONDS


@pytest.mark.parametrize("outage_seconds", [1, 75, 600, 86_400])
def test_the_first_request_after_an_outage_of_any_length_is_served(outage_seconds: int, server: Server) -> None:
    now = [0.0]
    connections = Pool(server, SIZE, TIMEOUT_SECONDS, clock=lambda: now[0] + time.monotonic())
    hold_all(connections).close()
    server.state = "down"
    for _ in range(5):
        with pytest.raises(DatabaseUnavailable, match="down"):
            use(connections)
        now[0] += outage_seconds / 5
    server.restart()
    assert use(connections) < 1


def test_a_server_that_is_down_is_asked_ten_times_a_second_however_many_wait(connections: Pool, server: Server) -> None:
    server.state = "down"
    began = time.monotonic()

    def ask(_: int) -> None:
        with suppress(DatabaseUnavailable):
            use(connections)

    with ThreadPoolExecutor(30) as clients:
        list(clients.map(ask, range(300)))
    seconds = time.monotonic() - began
    assert server.attempts <= seconds / pool.PAUSE_SECONDS + 2


def test_behind_a_silent_server_requests_end_in_time_and_few_attempts_are_made(
    connections: Pool, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_timeout_seconds", 1.2)
    hold_all(connections).close()
    before = server.attempts
    server.state = "silent"

    def refused(_: int) -> float:
        began = time.monotonic()
        with pytest.raises(DatabaseUnavailable, match="No database connection within"):
            use(connections)
        return time.monotonic() - began

    with ThreadPoolExecutor(30) as clients:
        assert max(clients.map(refused, range(30))) < 5
    assert 2 <= server.attempts - before <= 5
    assert server.open() == []
    # Those attempts still hang. The next one need not.
    server.restart()
    assert use(connections) < 2
    # When they succeed after all there are not too many either.
    server.healed.set()
    eventually(lambda: len(server.made) >= SIZE + 3)
    use(connections)
    assert len(server.open()) <= SIZE


def test_what_hangs_in_use_does_not_keep_others_waiting(connections: Pool, server: Server) -> None:
    with hold_all(connections):
        assert pool.HANGING_SECONDS / 2 < use(connections) < TIMEOUT_SECONDS
        # One more and not one for each.
        assert len(server.made) == SIZE + 1
    use(connections)
    assert len(server.open()) == SIZE


def test_a_connection_that_comes_after_the_end_is_closed(
    connections: Pool, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_timeout_seconds", 0.1)
    server.state = "silent"
    with pytest.raises(DatabaseUnavailable):
        use(connections)
    connections.close()
    server.state = "up"
    server.healed.set()
    eventually(lambda: server.made)
    eventually(lambda: not server.open())


def test_connections_that_nobody_needs_are_closed(server: Server) -> None:
    now = [0.0]
    connections = Pool(server, SIZE, TIMEOUT_SECONDS, clock=lambda: now[0])
    hold_all(connections).close()
    now[0] += pool.MAX_IDLE_SECONDS
    use(connections)
    assert len(server.open()) == 1


def test_a_connection_is_replaced_when_it_is_old(server: Server) -> None:
    now = [0.0]
    connections = Pool(server, SIZE, TIMEOUT_SECONDS, clock=lambda: now[0])
    lives = []
    while now[0] < 2 * pool.MAX_AGE_SECONDS:
        with connections.connection() as connection:
            lives.append(connection)
        now[0] += pool.MAX_IDLE_SECONDS / 2
    assert lives[0] is lives[1]
    assert 2 <= len(server.made) <= 3


def test_a_connection_that_came_when_nobody_waited_any_more_is_looked_at_before_use(
    connections: Pool, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_timeout_seconds", 0.1)
    server.state = "silent"
    with pytest.raises(DatabaseUnavailable):
        use(connections)
    server.state = "up"
    server.healed.set()
    eventually(lambda: server.made)
    server.restart()
    monkeypatch.setattr(connections, "_timeout_seconds", TIMEOUT_SECONDS)
    with connections.connection() as connection:
        assert connection.life == server.life


def test_a_broken_connection_is_not_given_again(connections: Pool, server: Server) -> None:
    with pytest.raises(ValueError, match="on its way"), connections.connection() as connection:
        connection.close()
        raise ValueError("on its way")
    with connections.connection() as another:
        assert another is not connection


# A server that has no room for a further connection.


def test_requests_share_the_connections_that_a_full_server_has_left_them(connections: Pool, server: Server) -> None:
    hold_all(connections, 2).close()
    server.state = "full"
    with ThreadPoolExecutor(20) as clients:
        waited = list(clients.map(lambda _: use(connections), range(200)))
    assert max(waited) < TIMEOUT_SECONDS
    assert len(server.open()) == 2


def test_a_full_server_is_asked_again_after_a_while_and_not_for_each_request(server: Server) -> None:
    now = [0.0]
    connections = Pool(server, SIZE, 0.3, clock=lambda: now[0] + time.monotonic())
    with hold_all(connections, 1):
        server.state = "full"
        for _ in range(3):
            with pytest.raises(TooManyConnections):
                use(connections)
        assert server.attempts == 2, "the one that was made, and the one that was refused"
        now[0] += pool.FULL_PAUSE_SECONDS
        server.state = "up"
        use(connections)
        assert server.attempts == 3


def test_whoever_waits_out_his_time_at_a_full_server_is_told_why(server: Server) -> None:
    connections = Pool(server, SIZE, 1.2 * pool.HANGING_SECONDS)
    with hold_all(connections, 1):
        server.state = "full"
        began = time.monotonic()
        with pytest.raises(TooManyConnections, match="too many connections"):
            use(connections)
        assert time.monotonic() - began > pool.HANGING_SECONDS, "others may still be done in time"


def test_without_a_single_connection_a_full_server_is_a_refusal_at_once_and_no_longer_than_it_is_full(
    connections: Pool, server: Server
) -> None:
    server.state = "full"
    began = time.monotonic()
    with pytest.raises(TooManyConnections):
        use(connections)
    server.state = "up"
    use(connections)
    assert time.monotonic() - began < TIMEOUT_SECONDS / 2


def test_an_old_connection_is_kept_while_the_server_would_give_no_other(server: Server) -> None:
    now = [0.0]
    connections = Pool(server, SIZE, 0.1, clock=lambda: now[0] + time.monotonic())
    with hold_all(connections, 1):
        server.state = "full"
        with pytest.raises(TooManyConnections):
            use(connections)
        now[0] += 2 * pool.MAX_AGE_SECONDS
    use(connections)
    assert len(server.made) == 1
