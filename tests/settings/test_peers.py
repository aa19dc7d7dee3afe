"""Addresses, names and origins: which are the machine's own, a proxy's, or the same place."""

import pytest

from dataflow.settings.peers import (
    MAX_HOPS,
    client_address,
    is_among,
    is_loopback,
    is_same_place,
    items,
    name_of,
    socket_address,
    subscriber,
)

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


#: Two proxies of ours, one behind the other.
OURS = "10.0.0.0/8, 2001:db8:1::/48"


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7, 10.0.0.2", "192.0.2.7"),
        ("192.0.2.7,10.0.0.3 ,\t10.0.0.2", "192.0.2.7"),
        ("2001:db8:9::7, 2001:db8:1::1", "2001:db8:9::7"),
        # What the client itself has sent before.
        ("1.1.1.1, 192.0.2.7", "192.0.2.7"),
        ("10.0.0.9, 192.0.2.7, 10.0.0.2", "192.0.2.7"),
        ("<script>, 192.0.2.7", "192.0.2.7"),
        # A client in the network of the proxies.
        ("10.7.7.7", "10.7.7.7"),
        ("10.7.7.7, 10.0.0.2", "10.7.7.7"),
        # Ports, brackets, and the old kind of address in the new one.
        ("192.0.2.7:49152", "192.0.2.7"),
        ("192.0.2.7:49152, 10.0.0.2:80", "192.0.2.7"),
        ("[2001:db8:9::7]:49152, [2001:db8:1::1]", "2001:db8:9::7"),
        ("::ffff:192.0.2.7, ::ffff:10.0.0.2", "192.0.2.7"),
        ("2001:DB8:9:0:0:0:0:7", "2001:db8:9::7"),
    ],
)
def test_the_client_is_the_last_address_that_is_no_proxy_of_ours(forwarded: str, client: str):
    assert client_address(forwarded, items(OURS)) == client


@pytest.mark.parametrize(
    "garbage",
    [
        *(
            "",
            "unknown",
            "_hidden",
            "for=192.0.2.7",
            "192.0.2.7 192.0.2.8",
            "192.0.2",
            "192.0.2.256",
            "::1::",
            "[::1",
            "::1]",
        ),
        *(
            "fe80::1%eth0",
            "::1%'; DROP TABLE jobs",
            "192.0.2.7:",
            "192.0.2.7:123456",
            "[::1]:x",
            "\x001.1.1.1",
            "\uff11.1.1.1",
        ),
    ],
)
def test_what_is_no_address_hides_the_claims_before_it(garbage: str):
    assert client_address(garbage, items(OURS)) == ""
    assert client_address(f"1.1.1.1, {garbage}", items(OURS)) == ""
    assert client_address(f"1.1.1.1, {garbage}, 10.0.0.2", items(OURS)) == "10.0.0.2"


def test_where_every_peer_is_a_proxy_the_last_address_is_the_clients():
    assert client_address("1.1.1.1, 192.0.2.7", ["*"]) == "192.0.2.7"
    assert client_address("1.1.1.1, unknown", ["*"]) == ""


def test_of_thousands_of_addresses_only_the_last_are_looked_at():
    assert client_address("192.0.2.7" + ", 10.0.0.2" * (MAX_HOPS - 1), items(OURS)) == "192.0.2.7"
    assert client_address("192.0.2.7" + ", 10.0.0.2" * 5000, items(OURS)) == "10.0.0.2"


@pytest.mark.parametrize(
    ("address", "known_as"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:9:1::7", "2001:db8:9:1::/64"),
        ("2001:db8:9:1:ffff::", "2001:db8:9:1::/64"),
        ("", ""),
        ("None", "None"),
    ],
)
def test_an_address_of_ipv6_is_known_by_its_network(address: str, known_as: str):
    assert subscriber(address) == known_as
