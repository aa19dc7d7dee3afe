"""A request that is sent again when its connection breaks, and done once all the same: by its Idempotency-Key."""

from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import uuid4

from dataflow.client.patience import Patience
from dataflow.client.service import Service, Unanswered
from dataflow.errors import RequestError

#: Before each further attempt.
PAUSES_SECONDS: Final = (0.5, 2.0, 5.0)


def post_once(
    service: Service,
    path: str,
    seconds: float,
    tell: Callable[[str], None],
    headers: Mapping[str, str] | None = None,
    **arguments: Any,
) -> dict[str, Any]:
    """The answer of `Service.ask`; the body among the `arguments` can be read again. `tell` hears of each repetition.

    :raises RequestError: a refusal, a service that is not there, or the last of several breaks.
    """
    sent = {**(headers or {}), "Idempotency-Key": uuid4().hex}
    patience, has_broken = Patience(pauses_seconds=PAUSES_SECONDS), False
    while True:
        try:
            return service.ask("POST", path, seconds, headers=sent, **arguments)
        except RequestError as error:
            # Only what may have been done is worth a wait for a service that has gone meanwhile.
            has_broken = has_broken or (isinstance(error, Unanswered) and error.has_broken)
            if not has_broken:
                raise
            patience.wait_after(error)
            tell(f"{error.message.partition('. Is the')[0]}. Sending it again.")
