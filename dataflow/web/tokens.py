"""Upload tokens: signed by us, so that nothing of them is stored, and good for one source until they expire.

Each is signed with a secret of its own key: a key that is taken from API_KEYS, or replaced, takes its tokens along, and
the others do not notice. Without a TOKEN_SECRET the holder of a key could sign tokens as well, for no more than the key
allows.
"""

import hmac
import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from itsdangerous import BadData, URLSafeSerializer

from dataflow.errors import Unauthorized
from dataflow.settings.api_keys import ApiKey
from dataflow.web.caller import Caller

#: Between the name of the key and what is signed; in neither of them.
MARK: Final = "~"
_SALT: Final = "dataflow upload token"
_ID_BYTES: Final = 12


class Tokens:
    def __init__(self, keys: Sequence[ApiKey], secret: str) -> None:
        # Where anybody may do everything, anybody may make tokens: in nobody's name.
        nobody = [ApiKey("", b"")] if secret and not keys else []
        self._keys = {key.name: key for key in (*keys, *nobody)}
        self._secret = secret

    @property
    def are_possible(self) -> bool:
        return bool(self._keys)

    def make(self, key_name: str, source: str, options: dict[str, Any], max_bytes: int, expires_at: datetime) -> str:
        values = {"source": source, "options": options, "maxBytes": max_bytes, "expires": expires_at.timestamp()}
        signed = self._signer(self._keys[key_name]).dumps({"id": secrets.token_urlsafe(_ID_BYTES), **values})
        return f"{key_name}{MARK}{signed.decode() if isinstance(signed, bytes) else signed}"

    def read(self, text: str) -> Caller:
        """Its holder.

        :raises Unauthorized: when it is no token, or not one of a key that there is; token_expired.
        """
        name, mark, signed = text.partition(MARK)
        key = self._keys.get(name)
        try:
            if not mark or key is None or not signed.isascii():
                raise BadData("no token of ours")
            values = self._signer(key).loads(signed)
        except BadData as error:
            raise Unauthorized("The key is not known, or the token not valid (any more).") from error
        if values["expires"] <= time.time():
            ended = datetime.fromtimestamp(values["expires"], UTC).isoformat(timespec="seconds")
            raise Unauthorized(f"The token expired at {ended}. Get a new one.", code="token_expired")
        if key.sources is not None and values["source"] not in key.sources:
            raise Unauthorized("The key that made the token may not use its source any more.")
        return Caller(
            f"token:{values['id']}",
            f"{name}#{values['id']}",
            frozenset({values["source"]}),
            values["maxBytes"],
            values["options"],
            is_token=True,
        )

    def _signer(self, key: ApiKey) -> URLSafeSerializer:
        secret = hmac.digest(self._secret.encode(), key.digest, "sha256")
        return URLSafeSerializer(secret, _SALT, signer_kwargs={"key_derivation": "hmac", "digest_method": sha256})
