"""Two web processes behind a network that cuts connections; they take turns, are killed, and come back."""

import threading
from collections.abc import Mapping
from functools import partial
from types import TracebackType
from typing import Self

from tests.support.cutting_proxy import CuttingProxy
from tests.support.processes import Web, stop_all
from tests.support.waiting import eventually


class TakingTurns:
    """Started with the object and ended with it; `proxy.url` is where clients find them."""

    def __init__(self, variables: Mapping[str, object]) -> None:
        self._variables = variables
        self._changing = threading.Lock()
        self.webs = [Web.start(variables)]
        try:
            self.webs.append(Web.start(variables))
        except BaseException:
            stop_all(self.webs)
            raise
        self.proxy = CuttingProxy([web.port for web in self.webs])
        self.kills = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self.proxy, self._changing:
            stop_all(self.webs)

    def kill_each_once(self, size_bytes: int) -> None:
        """kill -9 the first after a third of so many bytes and the second after two thirds; they are started anew."""
        self.kills = 0
        for number in (0, 1):
            self.proxy.call_after(size_bytes * (number + 1) // 3, partial(self._replace, number))

    def wait_for_kills(self) -> None:
        """Until both have been killed and are back."""
        eventually(lambda: self.kills == 2)

    def _replace(self, number: int) -> None:
        self.webs[number].kill_all()
        threading.Thread(target=self._start_anew, args=(number,)).start()

    def _start_anew(self, number: int) -> None:
        with self._changing:
            self.webs[number] = Web.start(self._variables)
            self.proxy.ports[number] = self.webs[number].port
            self.kills += 1
