"""Settings of addresses, proxies and origins, and what they say of a request; refusing it is left to `web.origins`."""

import re
from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from marshmallow import ValidationError

ANYONE = "*"
DEFAULT_PORTS = {"http": 80, "https": 443}
#: As a browser writes it (RFC 6454 section 6.1): lower case, no path, no default port needed.
_ORIGIN = re.compile(r"https?://([a-z0-9_.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", re.ASCII)


def check_host(value: str) -> None:
    if value != "localhost" and not _is_address(value):
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


def _is_address(value: str) -> bool:
    try:
        ip_address(value)
    except ValueError:
        return False
    return True


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
    return name == "localhost" or name.endswith(".localhost") or (_is_address(name) and ip_address(name).is_loopback)


def is_among(address: str, proxies: Iterable[str]) -> bool:
    if not _is_address(address):
        return ANYONE in proxies
    peer = ip_address(address)
    if isinstance(peer, IPv6Address) and peer.ipv4_mapped:
        # How a socket for both kinds shows the old one.
        peer = peer.ipv4_mapped
    return any(item == ANYONE or peer in ip_network(item, strict=False) for item in proxies)


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
