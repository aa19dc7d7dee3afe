"""Log lines: a constant message and its facts, given as `extra={...}`; as JSON for machines or text for a terminal.

The id of the running request is added. Names, addresses and other people's rows are never logged.
"""

import json
import logging
import re
import sys
from contextvars import ContextVar
from datetime import UTC, datetime

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


def configure(log_format: str) -> None:
    """Send every log line to standard error in `log_format`: json, text, or empty for what the terminal suggests."""
    handler = logging.StreamHandler()
    handler.setFormatter(formatter(log_format))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.captureWarnings(True)


def formatter(log_format: str) -> logging.Formatter:
    if (log_format or ("text" if sys.stderr.isatty() else "json")) == "json":
        return JsonFormatter()
    return TextFormatter()


def facts(record: logging.LogRecord) -> dict[str, object]:
    found = {name: value for name, value in vars(record).items() if name not in _STANDARD and value is not None}
    if "request_id" not in found and (current := request_id.get()):
        found["request_id"] = current
    return found


class Unquoted(logging.Filter):
    """Cuts what gunicorn quotes of a request: behind a wrong Content-Length somebody's row, in a query a token."""

    def filter(self, record: logging.LogRecord) -> bool:
        if str(record.msg).startswith("Invalid request from"):
            record.msg = re.split(r":? b?['\"]", record.msg, maxsplit=1)[0]
        if str(record.msg).startswith("Error handling request"):
            record.msg, record.args = "Error handling request", None
        return True


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **facts(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S.%f")[:-3]
        details = "".join(f" {name}={value}" for name, value in facts(record).items())
        text = f"{time} {record.levelname:<7} {record.getMessage()}{details}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text
