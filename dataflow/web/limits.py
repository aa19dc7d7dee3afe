"""How large a body the sender of a request may send, and that one which declares more is refused at once."""

from flask import request

from dataflow.imports.size_limit import FORM_BYTES, SizeLimit
from dataflow.web.caller import caller
from dataflow.web.services import services


def size_limit() -> SizeLimit:
    return SizeLimit.of(services().config.max_upload_bytes, caller().max_bytes)


def max_body_bytes() -> int:
    """Of the request's sender; 0 is no limit."""
    return size_limit().max_bytes


def check_declared(is_form: bool) -> None:
    """:raises RequestError: upload_too_large; what the length does not tell is counted while the body comes."""
    size_limit().check(request.content_length or 0, FORM_BYTES if is_form else 0)
