"""How large a body may be, as it is sent: by MAX_UPLOAD_BYTES, and by the token of who sends it."""

from dataclasses import dataclass
from typing import Final

from dataflow.errors import RequestError

#: What a form may have beside its file, as far as its length alone refuses it; behind that the file is counted.
FORM_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class SizeLimit:
    max_bytes: int  #: 0 is none
    name: str  #: of who has set it

    @classmethod
    def of(cls, setting_bytes: int, token_bytes: int) -> "SizeLimit":
        """The smaller one; 0 is none in each."""
        if token_bytes and (not setting_bytes or token_bytes < setting_bytes):
            return cls(token_bytes, "maxBytes of the token")
        return cls(setting_bytes, "MAX_UPLOAD_BYTES")

    def check(self, size_bytes: int, form_bytes: int = 0) -> None:
        """:raises RequestError: upload_too_large."""
        if self.max_bytes and size_bytes > self.max_bytes + form_bytes:
            raise RequestError(
                f"A body may have {self.max_bytes} bytes ({self.name}), and this one has {size_bytes} or more.",
                code="upload_too_large",
            )
