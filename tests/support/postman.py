"""A Postman collection run request by request, as far as ours needs it: variables, switched-off parameters, bodies."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import requests

from tests.support.service import Service


class Run:
    """Sends what a collection has, in its order, and notes what is made as its scripts do."""

    def __init__(self, collection: Mapping[str, Any], service: Service, files: Mapping[str, bytes]) -> None:
        self._items = [item for folder in collection["item"] for item in folder["item"]]
        self._variables = {each["key"]: each["value"] for each in collection["variable"]} | {"baseUrl": ""}
        self._service = service
        self._files = files

    def answers(self) -> Iterator[tuple[str, list[int], requests.Response]]:
        """The name of each request, the statuses that its test takes, and what it was answered."""
        for item in self._items:
            answer = self._send(item["request"])
            *_, name, made = ["", "", *answer.headers.get("Location", "").split("/")]
            if answer.status_code < 300 and made:
                self._variables[f"{name.removesuffix('s')}Id"] = made
            statuses = re.findall(r"\d+", item["event"][0]["script"]["exec"][-1].partition("]")[0])
            yield item["name"], [int(status) for status in statuses], answer

    def _send(self, request: Mapping[str, Any]) -> requests.Response:
        url = request["url"]
        own = {each["key"]: self._filled(each["value"]) for each in url["variable"]}
        path = "/".join(own[part[1:]] if part.startswith(":") else part for part in url["path"])
        given = {each["key"]: each["value"] for each in url["query"] if not each["disabled"]}
        headers = {each["key"]: each["value"] for each in request["header"] if not each.get("disabled")}
        return self._service.request(
            request["method"], f"/{path}", params=given, headers=headers, **self._body(request.get("body", {}))
        )

    def _body(self, body: Mapping[str, Any]) -> dict[str, Any]:
        if body.get("mode") == "raw":
            return {"data": self._filled(body["raw"]).encode()}
        if body.get("mode") != "formdata":
            return {}
        fields = body["formdata"]
        return {
            "files": {
                each["key"]: (each["src"], self._files[each["src"]]) for each in fields if each["type"] == "file"
            },
            "data": {each["key"]: each["value"] for each in fields if each["type"] == "text"},
        }

    def _filled(self, text: str) -> str:
        return re.sub(r"\{\{(\w+)\}\}", lambda found: self._variables[found[1]], text)
