"""`dataflow openapi`: the OpenAPI document of the service, or its Postman collection, on standard output."""

import json

from dataflow.config import Config
from dataflow.web.app import create_app
from dataflow.web.openapi import document, postman


def run(as_postman: bool = False) -> int:
    """:raises ConfigError: when the environment does not describe a service."""
    config = Config.from_env()
    app = create_app(config)
    found = document.served(document.build(app), app, "", is_below_v1=False)
    shown = postman.collection(found, f"http://localhost:{config.port}") if as_postman else found
    print(json.dumps(shown, indent=2, ensure_ascii=False))
    return 0
