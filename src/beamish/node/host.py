"""What this machine is called and where it may be reached: the part of node names that has to ask the system.

Everything here may block for as long as the resolver takes; it is meant for a node's start.
"""

from __future__ import annotations

import ipaddress
import socket

from beamish.errors import NodeError
from beamish.node.names import is_long_host, short_host

__all__ = ["addresses", "full_hostname", "is_loopback", "is_loopback_address", "listen_addresses", "short_hostname"]


def short_hostname() -> str:
    """This machine's name without its domain, as Erlang uses it for short names."""
    return short_host(socket.gethostname()) or "localhost"


def full_hostname() -> str:
    """This machine's name with its domain if one is known, else the plain name."""
    name = socket.gethostname()
    if is_long_host(name):
        return name
    full = socket.getfqdn(name)
    # A resolver that answers "localhost.localdomain" or an address knows no domain of ours.
    return full if is_long_host(full) and short_host(full) == name else name


def addresses(host: str) -> list[str]:
    """The addresses of a host name, IPv4 first (as Erlang's default carrier), each once.

    Raises  NodeError if the name does not resolve.
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise NodeError(
            f"the host {host!r} does not resolve ({error.strerror or error}); enter it in /etc/hosts or the DNS,"
            " or use a node name with an address: --name NAME@ADDRESS"
        ) from error
    ordered = sorted(found, key=lambda entry: entry[0] != socket.AF_INET)
    return list(dict.fromkeys(str(entry[4][0]) for entry in ordered))


def is_loopback_address(address: str) -> bool:
    """Whether an address in text form never leaves this machine."""
    try:
        return ipaddress.ip_address(address.split("%", 1)[0]).is_loopback
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Whether all addresses of this host are loopback: a node of that name is out of reach for other machines."""
    return all(is_loopback_address(address) for address in addresses(host))


def listen_addresses(host: str) -> list[str]:
    """Where a node whose name has this host part listens: the addresses of its name and nothing wider.

    A host that resolves to loopback and to something else is reachable from outside, so it listens on both.
    """
    return addresses(host)
