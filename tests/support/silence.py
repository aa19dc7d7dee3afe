"""What requests came to that a silent storage kept waiting."""

from concurrent.futures import Future
from dataclasses import dataclass

import requests


@dataclass(frozen=True, slots=True)
class Refused:
    """The answer to a request that a silent storage kept waiting."""

    answer: requests.Response
    seconds: float  #: from the request's first byte; what the storage did not hold up took milliseconds


Silence = dict[str, "Future[Refused]"]
