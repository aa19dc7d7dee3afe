"""The one error handler: whatever goes wrong becomes the same JSON, and nothing of the inside shows."""

import logging
from typing import Any

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from dataflow.errors import DatabaseUnavailable, DataFlowError, TooManyUploads, UnsupportedEncoding

logger = logging.getLogger(__name__)


def register(app: Flask) -> None:
    """Have `app` answer every error with `{error, code, status, issues, issueCount}`."""
    app.register_error_handler(DataFlowError, _answer)
    app.register_error_handler(HTTPException, _answer_http)
    app.register_error_handler(Exception, _answer_unexpected)


def _answer(error: DataFlowError) -> Response:
    level = logging.WARNING if error.status >= 500 else logging.INFO
    # The route and never the path or the query, which may hold whatever a client likes.
    facts = {"method": request.method, "route": request.url_rule and request.url_rule.rule, "cause": _cause(error)}
    logger.log(level, "request refused", extra={"code": error.code, "status": error.status, **facts})
    body: dict[str, Any] = {"error": error.message, "code": error.code, "status": error.status}
    if error.issues:
        body |= {"issues": [issue.as_json() for issue in error.issues], "issueCount": error.issue_count}
    response = jsonify(body)
    response.status_code = error.status
    if isinstance(error, UnsupportedEncoding):
        response.headers["Accept-Encoding"] = error.accepted
    if error.status == 503 and error.retryable:
        response.headers["Retry-After"] = str(TooManyUploads.retry_after_seconds)
    return response


def _cause(error: DataFlowError) -> str | None:
    """Why the database cannot be reached, for the operator. No other cause: it may quote a row."""
    unreachable = isinstance(error, DatabaseUnavailable) and error.__cause__ is not None
    return str(error.__cause__).strip().splitlines()[0] if unreachable else None


def _answer_http(error: HTTPException) -> Response:
    """What werkzeug raises: no such route, wrong method, and the like."""
    response = Response(headers=error.get_response().headers) if error.response is None else error.response
    name = error.name.lower().replace(" ", "_")
    answer = jsonify({"error": f"{error.name}: {error.description}", "code": name, "status": error.code})
    answer.status_code = error.code or 500
    if "Allow" in response.headers:
        answer.headers["Allow"] = response.headers["Allow"]
    return answer


def _answer_unexpected(_: Exception) -> Response:
    logger.exception("request broke")
    message = "Internal error. The X-Request-Id of this response finds it in the log."
    response = jsonify({"error": message, "code": DataFlowError.code, "status": 500})
    response.status_code = 500
    return response
