"""The service as a client asks it, by whatever way its requests get there."""

from abc import ABC, abstractmethod
from typing import Any

import requests

from tests.support.waiting import DEADLINE_SECONDS, eventually


class Service(ABC):
    @abstractmethod
    def request(self, method: str, path: str, timeout: float = 60, **arguments: Any) -> requests.Response:
        """The answer; `arguments` are those of `requests`."""

    def post(self, path: str = "/import", **arguments: Any) -> requests.Response:
        return self.request("POST", path, **arguments)

    def get(self, path: str, **arguments: Any) -> requests.Response:
        return self.request("GET", path, **arguments)

    def job(self, job_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"/jobs/{job_id}").json()
        return found

    def finished_job(self, job_id: str, seconds: float = DEADLINE_SECONDS) -> dict[str, Any]:
        """The job once it has ended."""

        def ended() -> dict[str, Any] | None:
            job = self.job(job_id)
            return job if job["finishedAt"] else None

        return eventually(ended, seconds)
