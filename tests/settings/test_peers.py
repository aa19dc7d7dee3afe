"""Addresses, names and origins: which are the machine's own, a proxy's, or the same place."""

import pytest

from dataflow.settings.peers import is_among, is_loopback, is_same_place, items, name_of, socket_address

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("origin", "authority", "is_same"),
    [
        ("http://localhost:3000", "localhost:3000", True),
        ("http://localhost:3000", "LOCALHOST:3000", True),
        ("http://localhost:3000", "127.0.0.1:3000", False),
        ("http://localhost:3000", "localhost:3001", False),
        ("http://localhost:3000", "localhost", False),
        ("http://app.example", "app.example:80", True),
        ("https://app.example", "app.example", True),
        ("https://app.example", "app.example:443", True),
        ("https://app.example", "app.example:80", False),
        ("https://app.example:443", "app.example", True),
        ("http://[::1]:3000", "[::1]:3000", True),
        ("http://[::1]:3000", "[::2]:3000", False),
        ("null", "localhost:3000", False),
        ("null", "", False),
        ("", "", False),
        ("http://", "", False),
        ("http://a@localhost", "localhost", False),
        ("http://localhost", "a@localhost", False),
        ("http://localhost/x", "localhost", False),
        ("http://localhost:x", "localhost:x", False),
        ("http://[::1", "[::1", False),
        ("http://localhost:99999", "localhost:99999", False),
        ("chrome-extension://abc", "abc:80", False),
    ],
)
def test_an_origin_is_the_same_place_when_host_and_port_are(origin: str, authority: str, is_same: bool):
    assert is_same_place(origin, authority) is is_same


@pytest.mark.parametrize("host", ["localhost", "LocalHost.", "a.localhost", "127.0.0.1", "127.1.2.3", "::1"])
def test_the_machines_own_names(host: str):
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "0.0.0.0", "::", "127.0.0.1.example", "localhost.example", "mylocalhost", "10.0.0.1"]
)
def test_names_that_are_not_the_machines_own(host: str):
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("authority", "name"),
    [
        ("Localhost:3000", "localhost"),
        ("[::1]:3000", "::1"),
        ("x", "x"),
        ("a@x", ""),
        ("[::1", ""),
        ("x/y", ""),
        ("", ""),
    ],
)
def test_the_name_in_a_host_header(authority: str, name: str):
    assert name_of(authority) == name


@pytest.mark.parametrize(
    ("address", "proxies", "is_one"),
    [
        ("10.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "10.1.2.3", True),
        ("::ffff:10.1.2.3", "10.0.0.0/8", True),
        ("11.1.2.3", "10.0.0.0/8, 192.0.2.1", False),
        ("2001:db8::7", "10.0.0.0/8,2001:db8::/32", True),
        ("10.1.2.3", "2001:db8::/32", False),
        ("10.1.2.3", "*", True),
        ("10.1.2.3", "", False),
        ("", "10.0.0.0/8", False),
        ("", "*", True),
    ],
)
def test_a_peer_is_a_proxy_when_the_list_holds_it(address: str, proxies: str, is_one: bool):
    assert is_among(address, items(proxies)) is is_one


def test_an_ipv6_address_stands_in_brackets():
    assert socket_address("::1", 3000) == "[::1]:3000"
    assert socket_address("127.0.0.1", 3000) == "127.0.0.1:3000"
