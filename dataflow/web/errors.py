"""Whatever goes wrong becomes the same JSON, in which nothing of the inside shows."""

import logging
from typing import Any

from flask import Flask, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from dataflow.db.failures import connection_failure
from dataflow.errors import DataFlowError, TooManyUploads

logger = logging.getLogger(__name__)


def register(app: Flask) -> None:
    """Have `app` answer every error with `{error, code, status, issues, issueCount}`."""
    app.register_error_handler(DataFlowError, _answer)
    app.register_error_handler(HTTPException, _answer_http)
    app.register_error_handler(Exception, _answer_unexpected)


def _answer(error: DataFlowError) -> ResponseReturnValue:
    level = logging.WARNING if error.status >= 500 else logging.INFO
    # The route and never the path or the query, which may hold whatever a client likes.
    facts = {"method": request.method, "route": request.url_rule and request.url_rule.rule}
    # Why the database cannot be reached, for the operator. No other cause: it may quote a row.
    facts["cause"] = connection_failure(error)
    logger.log(level, "request refused", extra={"code": error.code, "status": error.status, **facts})
    body: dict[str, Any] = {"error": error.message, "code": error.code, "status": error.status}
    if error.issues:
        body |= {"issues": [issue.as_json() for issue in error.issues], "issueCount": error.issue_count}
    headers = dict(error.headers)
    if error.status in (408, 409, 423, 503) and error.retryable:
        headers["Retry-After"] = str(TooManyUploads.retry_after_seconds)
    return body, error.status, headers


def _answer_http(error: HTTPException) -> ResponseReturnValue:
    """What werkzeug raises: no such route, wrong method, and the like."""
    name, allowed = error.name.lower().replace(" ", "_"), error.get_response().headers.get("Allow")
    body = {"error": f"{error.name}: {error.description}", "code": name, "status": error.code}
    return body, error.code or 500, {"Allow": allowed} if allowed else {}


def _answer_unexpected(_: Exception) -> ResponseReturnValue:
    logger.exception("request broke")
    message = "Internal error. The X-Request-Id of this response finds it in the log."
    return {"error": message, "code": DataFlowError.code, "status": 500}, 500
