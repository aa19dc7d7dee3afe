"""What one module has logged: threads of other modules may log at any time, so no test counts all lines."""

import logging

import pytest


def logged_by(caplog: pytest.LogCaptureFixture, module: str) -> list[logging.LogRecord]:
    """Its lines in the order of time; `module` is a name below `dataflow.`"""
    return [record for record in caplog.records if record.name == f"dataflow.{module}"]
