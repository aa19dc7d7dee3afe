"""The environment, read by environs: all that is wrong with it comes together, and no value is in any message."""

from collections.abc import Iterable, Mapping
from dataclasses import Field
from typing import Any

from environs import Env, EnvValidationError


class _Environment(Env):
    """Of a mapping, where environs reads the process's own; an empty variable counts as unset."""

    def __init__(self, given: Mapping[str, str]) -> None:
        super().__init__(eager=False)
        self._given = given

    def _get_value(self, env_key: str, default: Any) -> Any:
        return self._given.get(env_key) or default


def read(settings: Iterable[Field[Any]], given: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """The values of `settings` by their names, and what is wrong by variable; a wrong one has its default."""
    environment, values = _Environment(given), dict[str, Any]()
    for setting in settings:
        kind, default, check = (setting.metadata[name] for name in ("kind", "default", "check"))
        value = getattr(environment, kind)(setting.name.upper(), default, validate=check)
        values[setting.name] = default if value is None else value
    wrong: Any = {}
    try:
        environment.seal()
    except EnvValidationError as error:
        wrong = error.error_messages
    return values, wrong
