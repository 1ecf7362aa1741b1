"""What an outgoing request may reach, and which tokens of our identity it may carry.

Anybody who may schedule jobs writes a job; the request is sent by a function inside the project, with that function's
identity. So in the cloud internal addresses and tokens for others are refused unless a setting allows them. On one's
own machine everything is allowed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from shared.handlers.registry import Cancel
from shared.settings import Environment

GOOGLE_APIS = ".googleapis.com"


class AddressKind(StrEnum):
    """To whom an address belongs."""

    PUBLIC = "public"
    PRIVATE = "private"
    INTERNAL = "internal"


# The registries of special-purpose addresses, written out: `ipaddress` reads them differently in each version.
# https://www.iana.org/assignments/iana-ipv4-special-registry
_PRIVATE = tuple(
    map(ip_network, ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")),
)
_INTERNAL = tuple(
    map(
        ip_network,
        (
            # metadata servers beyond the link-local ones: Alibaba, Azure, Google, AWS
            *("100.100.100.200", "168.63.129.16", "fd20:ce::254", "fd00:ec2::/32"),
            # this network, loopback, link-local, protocols, 6to4 relays, benchmarks
            *("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15"),
            # documentation, multicast, reserved
            *("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
            # protocols and Teredo, documentation, 6to4
            *("2001::/23", "2001:db8::/32", "3fff::/20", "2002::/16"),
        ),
    )
)
_PUBLIC_IPV6 = ip_network("2000::/3")  # all else is loopback, link-local, multicast, or unassigned
_NAT64 = ip_network("64:ff9b::/96")


def kind_of(address: str) -> AddressKind:
    """Return to whom this IP address belongs; an IPv4 address within an IPv6 one counts as itself."""
    ip = _unwrapped(ip_address(address))
    if any(ip in network for network in _INTERNAL):
        return AddressKind.INTERNAL
    if any(ip in network for network in _PRIVATE):
        return AddressKind.PRIVATE
    return AddressKind.PUBLIC if ip.version == 4 or ip in _PUBLIC_IPV6 else AddressKind.INTERNAL


def _unwrapped(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if isinstance(ip, IPv6Address) and (ip.ipv4_mapped or ip in _NAT64):
        return IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip


@dataclass(frozen=True, kw_only=True)
class Reach:
    """The rules. `hosts` may be internal; `private` allows private addresses; `audiences` may be sent to any host."""

    in_cloud: bool
    hosts: tuple[str, ...] = ()
    private: bool = False
    audiences: tuple[str, ...] = ()

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Reach":
        """Read the settings. Raises InvalidSettings, naming every malformed one."""
        read = Environment(env)
        reach = cls(
            in_cloud=bool(read.text("K_SERVICE")),
            hosts=read.parsed("HTTP_REQUEST_HOSTS", (), lambda _: tuple(map(_host, read.words("HTTP_REQUEST_HOSTS")))),
            private=read.one_of("HTTP_REQUEST_PRIVATE", "off", "on", "off") == "on",
            audiences=read.words("HTTP_REQUEST_AUDIENCES"),
        )
        read.refuse_problems()
        return reach

    def check_address(self, host: str, address: str) -> None:
        """Raise Cancel if a request to `host` must not connect to `address`, to which the host resolves."""
        if not self.in_cloud or host in self.hosts:
            return
        kind = kind_of(address)
        if kind is AddressKind.INTERNAL:
            raise Cancel(
                f"{host} is a loopback, link-local, metadata or reserved address, "
                "which a job may reach only if HTTP_REQUEST_HOSTS names exactly this host"
            )
        if kind is AddressKind.PRIVATE and not self.private:
            raise Cancel(
                f"{host} is a private address, which a job may reach only with HTTP_REQUEST_PRIVATE=on "
                "or if HTTP_REQUEST_HOSTS names exactly this host"
            )

    def check_audience(self, audience: str, *, scheme: str, host: str) -> None:
        """Raise Cancel if an identity token for `audience` must not be sent to `host`."""
        if not self.in_cloud:
            return
        if scheme != "https":
            raise Cancel(f"http_request: oidc_audience needs an https url; {host} would get the token in clear text")
        if audience not in self.audiences and host not in (audience.lower(), _https_host(audience)):
            raise Cancel(
                f"http_request: oidc_audience must be an https URL on {host}, or be listed in HTTP_REQUEST_AUDIENCES"
            )

    def check_scope(self, *, scheme: str, host: str) -> None:
        """Raise Cancel if an access token must not be sent to `host`."""
        if self.in_cloud and not (scheme == "https" and host.endswith(GOOGLE_APIS)):
            raise Cancel(
                f"http_request: oauth_scope is only for https://*{GOOGLE_APIS}; "
                f"use oidc_audience to authenticate to {host}"
            )


def _host(word: str) -> str:
    host = word.lower().removeprefix("[").removesuffix("]")
    if not re.fullmatch(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?", host) and not _is_ip(host):
        raise ValueError("it must be names or addresses of hosts, without scheme, port or path, separated by commas")
    return host


def _is_ip(text: str) -> bool:
    try:
        return bool(ip_address(text))
    except ValueError:
        return False


def _https_host(audience: str) -> str | None:
    try:
        parts = urlsplit(audience)
        return parts.hostname if parts.scheme == "https" else None
    except ValueError:
        return None
