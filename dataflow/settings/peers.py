"""Settings of addresses, proxies and origins, and what they say of a request; refusing it is left to `web.origins`."""

import re
from collections.abc import Collection
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

from marshmallow import ValidationError

ANYONE = "*"
DEFAULT_PORTS = {"http": 80, "https": 443}
#: As a browser writes it (RFC 6454 section 6.1): lower case, no path, no default port needed.
_ORIGIN = re.compile(r"https?://([a-z0-9_.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", re.ASCII)
#: An address as proxies write it: some add the port, and brackets where it is IPv6. Never a zone, which is any text.
_FORWARDED = re.compile(r"\[([0-9a-fA-F:.]+)\](?::[0-9]{1,5})?|([0-9.]+)(?::[0-9]{1,5})?|([0-9a-fA-F:.]+)", re.ASCII)
#: No more proxies stand one behind the other; a client can write thousands of addresses.
MAX_HOPS: Final = 20
#: What a provider gives to one subscriber, who may change within it for each request (RFC 6177).
_SUBSCRIBER_BITS: Final = 64


def check_host(value: str) -> None:
    if value != "localhost" and _address(value) is None:
        raise ValidationError("must be an IP address, or localhost; IPv6 without brackets.")


def check_proxies(value: str) -> None:
    if not all(item == ANYONE or _is_network(item) for item in items(value)):
        raise ValidationError("must be IP addresses or networks with commas between them, or *.")


def check_origins(value: str) -> None:
    if not all(item == ANYONE or _ORIGIN.fullmatch(item) for item in items(value)):
        raise ValidationError(
            "must be origins such as https://app.example.com with commas between them, without a path, or *."
        )


def items(value: str) -> list[str]:
    return [item.strip() for item in value.split(",") if item.strip()]


def _is_network(value: str) -> bool:
    try:
        ip_network(value, strict=False)
    except ValueError:
        return False
    return True


def socket_address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether a name or an address is this machine's, whatever a name server says."""
    name = host.rstrip(".").lower()
    address = _address(name)
    return name == "localhost" or name.endswith(".localhost") or (address is not None and address.is_loopback)


def is_among(address: str, proxies: Collection[str]) -> bool:
    if ANYONE in proxies:
        return True
    peer = _address(address)
    return peer is not None and any(peer in ip_network(item, strict=False) for item in proxies)


def client_address(forwarded: str, proxies: Collection[str]) -> str:
    """The last address of an X-Forwarded-For that is not one of `proxies`; empty if there is none.

    Each proxy adds whom it was asked by, so what stands left of something else than a proxy is that one's claim.
    """
    client = ""
    for item in reversed(forwarded.rsplit(",", MAX_HOPS)[-MAX_HOPS:]):
        found = _FORWARDED.fullmatch(item.strip())
        address = found and _address(found[1] or found[2] or found[3])
        if not address:
            break
        client = str(address)
        if ANYONE in proxies or not is_among(client, proxies):
            break
    return client


def subscriber(address: str) -> str:
    """Who is behind an address, as far as addresses tell: itself, or the network of an IPv6 one."""
    known = _address(address)
    if isinstance(known, IPv6Address):
        return str(ip_network((known.packed, _SUBSCRIBER_BITS), strict=False))
    return address if known is None else str(known)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    # How a socket for both kinds shows the old one.
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def name_of(authority: str) -> str:
    """The host in a Host header, without port and brackets; empty where it is none."""
    return _split(authority, 0)[0]


def is_same_place(origin: str, authority: str) -> bool:
    """Whether an Origin header names the host and the port of a Host header; `null` names none."""
    scheme, separator, rest = origin.partition("://")
    default_port = DEFAULT_PORTS.get(scheme, 0)
    return bool(separator and rest) and _split(rest, default_port) == _split(authority, default_port) != ("", 0)


def _split(authority: str, default_port: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{authority}")
        found = (parts.hostname or "", parts.port or default_port)
    except ValueError:
        return "", 0
    return found if parts.netloc == authority and "@" not in authority else ("", 0)
