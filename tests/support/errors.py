"""What tests ask of errors that have no class of their own."""

from collections.abc import Callable

from dataflow.errors import DataFlowError


def has_code(code: str) -> Callable[[DataFlowError], bool]:
    """For `pytest.raises(..., check=has_code("job_not_found"))`."""
    return lambda error: error.code == code
