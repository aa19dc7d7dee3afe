"""Who sends a request: the keys of a service, tokens made with them, and what is worth nothing."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from dataflow.settings.api_keys import parse
from dataflow.web.tokens import Tokens

ALL_KEY, CRM_KEY, SHOP_KEY = (f"{name}-hunter2-hunter2-hunter2" for name in ("all", "crm", "shop"))
API_KEYS = f"all:{ALL_KEY} crm:{CRM_KEY}:crm|leads shop:{SHOP_KEY}:shop"
TOKEN_SECRET = "hunter2" * 5
#: The settings of a service that knows them.
CLOSED = {"API_KEYS": API_KEYS, "TOKEN_SECRET": TOKEN_SECRET}


def signer(api_keys: str = API_KEYS, secret: str = TOKEN_SECRET) -> Tokens:
    return Tokens(parse(api_keys), secret)


def token(key_name: str = "crm", source: str = "crm", seconds: float = 86_400, **options: object) -> str:
    """One that ends in so many seconds, or ended before."""
    return signer().make(key_name, source, options, 0, datetime.now(UTC) + timedelta(seconds=seconds))


def created_by(text: str) -> str:
    """How the jobs of a token name its holder."""
    found = signer().read(text).created_by
    assert found is not None
    return found


def bearer(text: str) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {text}"}


def tampered(text: str) -> str:
    """Another source in the token, or whatever else that letter belongs to."""
    middle = len(text) // 2
    return f"{text[:middle]}{'B' if text[middle] == 'A' else 'A'}{text[middle + 1 :]}"
