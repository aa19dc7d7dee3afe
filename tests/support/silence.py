"""What requests came to that a silent storage kept waiting."""

from concurrent.futures import Future
from dataclasses import dataclass

import requests


@dataclass(frozen=True, slots=True)
class Refused:
    """The answer to a request that a silent storage kept waiting."""

    answer: requests.Response
    seconds: float  #: the longest time in which nothing of it was taken or answered: routers and platforms go by that


Silence = dict[str, "Future[Refused]"]
