"""The kind of an address, and what may be sent to it: the rules alone, without a connection."""

import re

import pytest

from shared.errors import InvalidSettings
from shared.handlers import Cancel
from shared.handlers.reachable import AddressKind, Reach, kind_of

CLOUD = {"K_SERVICE": "watchkeeper-tick"}

PUBLIC = [
    *(
        "8.8.8.8",
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
    ),
    *(
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
    ),
    *(
        "198.20.0.0",
        "199.36.153.8",
        "223.255.255.255",
        "2001:4860:4860::8888",
        "2600::",
        "2a00:1450:4001::1",
        "2001:200::",
    ),
    *("::ffff:8.8.8.8", "64:ff9b::8.8.8.8"),
]
PRIVATE = [
    *("10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.1", "192.168.255.255"),
    *("100.64.0.0", "100.127.255.255", "fc00::1", "fd00::1", "fdff:ffff::", "::ffff:10.0.0.1", "::ffff:c0a8:1"),
    *("64:ff9b::10.0.0.1", "64:ff9b::6440:1"),
]
INTERNAL = [
    *(
        "127.0.0.1",
        "127.0.0.0",
        "127.255.255.255",
        "0.0.0.0",
        "0.1.2.3",
        "169.254.169.254",
        "169.254.0.1",
        "169.254.170.2",
    ),
    *("100.100.100.200", "168.63.129.16", "192.0.0.192", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.19.255.255"),
    *("198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "fe80::1", "fe80::1%lo", "febf::1", "fec0::1", "ff02::1", "fd00:ec2::254", "fd20:ce::254"),
    *("::ffff:127.0.0.1", "::ffff:a9fe:a9fe", "::ffff:0.0.0.0", "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe"),
    *("::127.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b:1::7f00:1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:a00:1::"),
    *("2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:2::1", "2001:db8::1", "3fff::1", "100::1", "5f00::1"),
    *("4000::", "1fff:ffff::", "ffff::"),
]


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        *((address, AddressKind.PUBLIC) for address in PUBLIC),
        *((address, AddressKind.PRIVATE) for address in PRIVATE),
        *((address, AddressKind.INTERNAL) for address in INTERNAL),
    ],
)
def test_each_address_has_its_kind(address: str, kind: AddressKind) -> None:
    """The ranges hold up to their edges, and an IPv4 address within an IPv6 one counts as itself."""
    assert kind_of(address) is kind


# -- addresses ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [*PUBLIC, *PRIVATE, *INTERNAL])
def test_outside_the_cloud_every_address_is_allowed(address: str) -> None:
    """Only K_SERVICE makes it the cloud."""
    Reach.from_env({}).check_address("anything", address)


@pytest.mark.parametrize("address", INTERNAL)
def test_in_the_cloud_an_internal_address_needs_its_host_named(address: str) -> None:
    """Neither HTTP_REQUEST_PRIVATE nor another host is enough; the error names the setting."""
    others = Reach.from_env({**CLOUD, "HTTP_REQUEST_PRIVATE": "on", "HTTP_REQUEST_HOSTS": "other, host.example, [::2]"})
    named = Reach.from_env({**CLOUD, "HTTP_REQUEST_HOSTS": "other,Host"})

    with pytest.raises(Cancel, match=r"^host is a loopback.*HTTP_REQUEST_HOSTS"):
        others.check_address("host", address)
    named.check_address("host", address)


@pytest.mark.parametrize("address", PRIVATE)
def test_in_the_cloud_a_private_address_needs_a_setting(address: str) -> None:
    """Either of the two is enough, and the error names both."""
    with pytest.raises(Cancel, match=r"^host is a private address.*HTTP_REQUEST_PRIVATE=on.*HTTP_REQUEST_HOSTS"):
        Reach.from_env(CLOUD).check_address("host", address)
    Reach.from_env({**CLOUD, "HTTP_REQUEST_PRIVATE": "on"}).check_address("host", address)
    Reach.from_env({**CLOUD, "HTTP_REQUEST_HOSTS": "host"}).check_address("host", address)


@pytest.mark.parametrize("address", PUBLIC)
def test_in_the_cloud_a_public_address_is_allowed(address: str) -> None:
    """It needs no setting."""
    Reach.from_env(CLOUD).check_address("host", address)


# -- tokens ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "audience",
    ["https://a.example", "https://a.example/", "https://A.Example/path?x=1", "a.example", "https://a.example:8443"],
)
def test_audience_of_the_same_host_is_allowed(audience: str) -> None:
    """As an https URL, with any path, or as the host alone."""
    Reach.from_env(CLOUD).check_audience(audience, scheme="https", host="a.example")


@pytest.mark.parametrize(
    "audience",
    [
        *("https://b.example", "b.example", "http://a.example", "https://a.example.b.example", "https://b.a.example"),
        *("https://a.example@b.example", "https://b.example/a.example", "https://[a.example", "", "//a.example"),
        "32555940559.apps.googleusercontent.com",
    ],
)
def test_audience_of_another_host_must_be_listed(audience: str) -> None:
    """The error names the setting; a list allows exactly this audience."""
    with pytest.raises(Cancel, match="HTTP_REQUEST_AUDIENCES"):
        Reach.from_env(CLOUD).check_audience(audience, scheme="https", host="a.example")
    if audience:
        listed = Reach.from_env({**CLOUD, "HTTP_REQUEST_AUDIENCES": f"x,{audience}"})
        listed.check_audience(audience, scheme="https", host="a.example")


def test_no_identity_token_is_sent_in_clear_text() -> None:
    """Not even for a listed audience to a named host."""
    reach = Reach.from_env({**CLOUD, "HTTP_REQUEST_AUDIENCES": "http://a.example", "HTTP_REQUEST_HOSTS": "a.example"})

    with pytest.raises(Cancel, match="clear text"):
        reach.check_audience("http://a.example", scheme="http", host="a.example")


@pytest.mark.parametrize("host", ["run.googleapis.com", "europe-west1-run.googleapis.com", "a.b.googleapis.com"])
def test_access_token_is_allowed_for_googles_apis(host: str) -> None:
    """Over https to any host below googleapis.com."""
    Reach.from_env(CLOUD).check_scope(scheme="https", host=host)


@pytest.mark.parametrize(
    ("scheme", "host"),
    [
        ("http", "run.googleapis.com"),
        *(("https", host) for host in ("googleapis.com", "evilgoogleapis.com", "run.googleapis.com.evil.example")),
        *(("https", host) for host in ("run.googleapis.com.", "www.google.com", "svc-abc-uc.a.run.app", "127.0.0.1")),
    ],
)
def test_access_token_is_refused_for_other_hosts(scheme: str, host: str) -> None:
    """The error has the remedy."""
    settings = {**CLOUD, "HTTP_REQUEST_HOSTS": host, "HTTP_REQUEST_AUDIENCES": host, "HTTP_REQUEST_PRIVATE": "on"}

    with pytest.raises(Cancel, match=re.escape("oauth_scope is only for https://*.googleapis.com")):
        Reach.from_env(settings).check_scope(scheme=scheme, host=host)


def test_outside_the_cloud_every_token_is_allowed() -> None:
    """There it is the developer's own identity and network."""
    reach = Reach.from_env({})

    reach.check_audience("https://b.example", scheme="http", host="a.example")
    reach.check_scope(scheme="http", host="127.0.0.1")


# -- settings ----------------------------------------------------------------------------------------------------------


def test_hosts_are_read_as_in_a_url() -> None:
    """Case does not matter; an IPv6 address may have brackets."""
    reach = Reach.from_env({**CLOUD, "HTTP_REQUEST_HOSTS": " Inventory.Internal, 127.0.0.1,[::1], fd00::5,a_b "})

    assert reach.hosts == ("inventory.internal", "127.0.0.1", "::1", "fd00::5", "a_b")


@pytest.mark.parametrize(
    "host", ["http://a.example", "a.example:80", "a.example/", "*.example", "a b", "10.0.0.0/8", "."]
)
def test_error_names_an_invalid_host(host: str) -> None:
    """It would never match, and the job would be refused without a hint."""
    with pytest.raises(InvalidSettings, match=r"HTTP_REQUEST_HOSTS is .* without scheme, port or path"):
        Reach.from_env({"HTTP_REQUEST_HOSTS": f"good,{host}"})


@pytest.mark.parametrize("text", ["yes", "true", "1", "ON"])
def test_private_is_on_or_off(text: str) -> None:
    """No other value allows a network, or seems to."""
    with pytest.raises(InvalidSettings, match=r"HTTP_REQUEST_PRIVATE is .* on, off"):
        Reach.from_env({"HTTP_REQUEST_PRIVATE": text})


def test_empty_settings_count_as_not_set() -> None:
    """An empty line in .env allows nothing."""
    names = ("HTTP_REQUEST_HOSTS", "HTTP_REQUEST_PRIVATE", "HTTP_REQUEST_AUDIENCES")

    assert Reach.from_env({**CLOUD, **dict.fromkeys(names, " ")}) == Reach(in_cloud=True)
