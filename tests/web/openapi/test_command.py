"""`dataflow openapi` prints what the service shows."""

import json

import pytest
from openapi_spec_validator import validate

from dataflow.cli import main
from dataflow.web.openapi import postman
from tests.support.openapi import described

pytestmark = pytest.mark.unit


def test_it_prints_the_document_and_as_a_collection_what_postman_reads(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", "8080")
    assert main(["openapi"]) == 0
    document = json.loads(capsys.readouterr().out)
    validate(document)
    assert document == json.loads(json.dumps(described().document))
    assert main(["openapi", "--postman"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(
        json.dumps(postman.collection(document, "http://localhost:8080"))
    )
