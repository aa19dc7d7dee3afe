"""Whatever goes wrong inside, a client gets the same JSON and nothing of the inside."""

import logging
from typing import Never

import pytest

from dataflow.config import Config
from dataflow.web.app import create_app
from tests.support.logged import logged_by

pytestmark = pytest.mark.unit


def test_an_unexpected_error_shows_nothing_but_where_to_look(caplog: pytest.LogCaptureFixture) -> None:
    app = create_app(Config.from_env({"ENABLE_METRICS": "false"}))

    def break_down() -> Never:
        raise LookupError("a secret of the inside")

    app.add_url_rule("/broken", view_func=break_down)
    answer = app.test_client().get("/broken", headers={"X-Request-Id": "abc-1"})
    assert (answer.status_code, answer.headers["X-Request-Id"]) == (500, "abc-1")
    assert answer.get_json() == {
        "error": "Internal error. The X-Request-Id of this response finds it in the log.",
        "code": "internal_error",
        "status": 500,
    }
    assert "a secret of the inside" in caplog.text


def test_a_refusal_is_logged_with_its_method_and_its_route_and_nothing_that_the_client_made_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = create_app(Config.from_env({"ENABLE_METRICS": "false"}))
    with caplog.at_level(logging.INFO):
        assert app.test_client().get("/v1/jobs?limit=zoe").status_code == 400
    [record] = logged_by(caplog, "web.errors")
    facts = {"method": "GET", "route": "/v1/jobs", "code": "invalid_request", "status": 400}
    assert {name: vars(record)[name] for name in facts} == facts
    assert "zoe" not in str(vars(record))


@pytest.mark.parametrize("given", ["", "with space", "x" * 201, "ü", "a\tb"])
def test_a_request_id_that_could_spoil_a_log_is_replaced(given: str) -> None:
    app = create_app(Config.from_env({}))
    answer = app.test_client().get("/nowhere", headers={"X-Request-Id": given})
    assert answer.status_code == 404
    assert answer.headers["X-Request-Id"] not in ("", given)
